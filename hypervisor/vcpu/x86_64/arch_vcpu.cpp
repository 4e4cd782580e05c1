#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/exits.hpp"
#include "hypervisor/vcpu/x86_64/xstate.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

using namespace x86;

Result<void> ArchVcpu::create(Virtualization& machine, mm::ObjectAllocator& heap, VmFrames& frames,
                              const VcpuSettings& settings, u64 xcr0, u64 cr4) {
  supported_cr4_ = cr4;
  supported_xcr0_ = xcr0;
  physical_address_bits_ = static_cast<u8>(machine.nested().physical_bits);
  floating_point_.emplace(TRY(FloatingPointState::create(xcr0, frames)));
  backend_ = TRY(machine.create_vcpu(heap, frames, settings));
  return {};
}

void ArchVcpu::reset(const StartState& state) {
  start(*backend_, registers, state);
  floating_point_->reset();
  nmi_.store(false, std::memory_order_relaxed);
  window_requested_ = false;
  halted_ = false;
  interrupts_changed();
}

void ArchVcpu::load(unsigned cpu) {
  floating_point_->load();
  backend_->load(cpu);
}

void ArchVcpu::put() {
  backend_->put();
  floating_point_->put();
}

bool ArchVcpu::set_xcr0(u64 value) {
  if (!is_valid_xcr0(value, supported_xcr0_)) return false;
  floating_point_->set_xcr0(value);
  return true;
}

// SDM vol. 3 2.5, APM vol. 2 3.1.3.
bool ArchVcpu::set_cr4(u64 value, const PagingState& now) {
  const bool long_mode = (now.efer & Efer::kLma) != 0;
  if ((value & ~supported_cr4_) != 0 || (long_mode && (value & Cr4::kPae) == 0)) return false;
  const bool begins_tags = (value & ~now.cr4 & Cr4::kPcide) != 0;
  if (begins_tags && (!long_mode || (now.cr3 & (kPageSize - 1)) != 0)) return false;
  backend_->write(GuestRegister::Cr4, value);
  return true;
}

void ArchVcpu::serve(u32 asked) {
  if ((asked & kArmTimer) != 0) vm_.arm_timer(owner_);
}
void ArchVcpu::report_wait(u64 ticks) { vm_.report_wait(owner_, ticks); }
void ArchVcpu::cancel_timers() { vm_.cancel_timer(owner_); }
void ArchVcpu::resume_time() {
  vm_.adjust_counter(owner_);
  resume_timers();
}

bool ArchVcpu::has_deliverable() {
  if (nmi_.load(std::memory_order_acquire)) return true;
  return (registers.rflags & x86::Rflags::kIf) != 0 && vm_.interrupt_pending(owner_);
}

void ArchVcpu::run_guest(Cpu& cpu) {
  do enter_once(cpu);
  while (owner_.state == Task::State::Running && !cpu.reschedule && !owner_.is_asked());
}

inline void ArchVcpu::enter_once(Cpu& cpu) {
  if (halted_) {
    if (!has_deliverable()) return owner_.wait();
    halted_ = false;
  }
  if (nmi_.load(std::memory_order_relaxed)) [[unlikely]]
    deliver_nmi();
  if (look_for_interrupt_.load(std::memory_order_relaxed) || window_requested_) deliver_interrupts();

  const VmExit& exit = backend_->enter(registers);
  if (exit.new_task_priority) {
    vm_.set_task_priority(owner_, *exit.new_task_priority);
    interrupts_changed();
  }
  owner_.count_exit();
  if (exit.reason == ExitReason::Interrupt) return cpu.handle_interrupts();
  handle_exit(*this, exit);
  // An access to the local APIC's own register for it.
  const bool may_set_priority = exit.reason == ExitReason::NestedFault || exit.reason == ExitReason::MsrWrite;
  if (backend_->shadows_task_priority() && may_set_priority) backend_->set_task_priority(vm_.task_priority(owner_));
}

// The flag is cleared before the question is asked, so that what comes in between is not missed.
void ArchVcpu::deliver_interrupts() {
  look_for_interrupt_.store(false, std::memory_order_relaxed);
  if (!backend_->can_take_interrupt(registers)) {
    if (window_requested_ || !vm_.interrupt_pending(owner_)) return;
    backend_->request_interrupt_window();
    window_requested_ = true;
    return;
  }
  window_requested_ = false;
  const std::optional<u8> vector = vm_.take_interrupt(owner_);
  if (!vector) return;
  backend_->inject_interrupt(*vector);
  look_for_interrupt_.store(true, std::memory_order_relaxed);  // another one may be behind it
}

void ArchVcpu::deliver_nmi() {
  if (!backend_->can_take_nmi(registers)) return backend_->request_nmi_window();
  nmi_.store(false, std::memory_order_relaxed);
  backend_->inject_nmi();
}

void ArchVcpu::inject(u8 vector, std::optional<u32> error_code) {
  if (!backend_->inject_exception(vector, error_code)) crash(*this, describe(ExitReason::Shutdown));
}

}  // namespace hv
