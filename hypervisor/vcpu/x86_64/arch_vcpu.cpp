#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/exits.hpp"
#include "hypervisor/vcpu/x86_64/xstate.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

using namespace x86;

Result<void> ArchVcpu::create(Virtualization& machine, mm::ObjectAllocator& heap, VmFrames& frames, const VcpuSettings& settings,
                              u64 xcr0, u64 cr4) {
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
  backend_->set_apic_mode(vm_.apic_mode(owner_));
  attention_.store(kLook, std::memory_order_relaxed);
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
  if ((attention_.load(std::memory_order_acquire) & kNmi) != 0) return true;
  return (registers.rflags & x86::Rflags::kIf) != 0 && vm_.interrupt_pending(owner_);
}

void ArchVcpu::run_guest(Cpu& cpu) {
  do {
    if (attention_.load(std::memory_order_relaxed) != 0 && !attend()) continue;
    const VmExit& exit = backend_->enter(registers);
    owner_.count_exit();
    if (exit.reason == ExitReason::Interrupt) {
      cpu.handle_interrupts();
    } else {
      handle_exit(*this, exit);
    }
  } while (owner_.state == Task::State::Running && !cpu.reschedule && !owner_.is_asked());
}

/// False: it has halted, and waits.
[[gnu::noinline]] bool ArchVcpu::attend() {
  if (needs(kHalted)) {
    if (!has_deliverable()) {
      owner_.wait();
      return false;
    }
    done_with(kHalted);
  }
  if (needs(kNmi)) deliver_nmi();
  if (needs(kLook) || needs(kWindow)) deliver_interrupts();
  return true;
}

// The flag is cleared before the question is asked, so that what comes in between is not missed.
void ArchVcpu::deliver_interrupts() {
  done_with(kLook);
  if (backend_->delivers_interrupts()) backend_->show_interrupts(vm_.interrupt_state(owner_));
  if (!backend_->can_take_interrupt(registers)) {
    if (needs(kWindow) || !vm_.must_inject(owner_)) return;
    backend_->request_interrupt_window();
    attention_.fetch_or(kWindow, std::memory_order_relaxed);
    return;
  }
  if (needs(kWindow)) done_with(kWindow);
  const std::optional<u8> vector = vm_.take_interrupt(owner_);
  if (!vector) return backend_->leave_below_priority(vm_.priority_in_wait(owner_));
  backend_->inject_interrupt(*vector);
  attention_.fetch_or(kLook, std::memory_order_relaxed);  // another one may be behind it
}

void ArchVcpu::deliver_nmi() {
  if (!backend_->can_take_nmi(registers)) return backend_->request_nmi_window();
  done_with(kNmi);
  backend_->inject_nmi();
}

CpuidResult ArchVcpu::cpuid(u32 leaf, u32 subleaf) {
  CpuidAnswer& answer = answers_[(leaf ^ leaf >> 28 ^ subleaf) % kAnswers];
  const bool is_known = answer.leaf == leaf && answer.subleaf == subleaf;
  CpuidResult result = is_known ? answer.result : ask_cpuid(answer, leaf, subleaf);
  if (leaf == kFeatureLeaf && (backend_->read(GuestRegister::Cr4) & Cr4::kOsxsave) != 0) result.ecx |= kOsXsaveFeature;
  return result;
}

[[gnu::noinline]] CpuidResult ArchVcpu::ask_cpuid(CpuidAnswer& answer, u32 leaf, u32 subleaf) {
  const CpuidResult result = vm_.cpuid(owner_, leaf, subleaf);
  // XCR0 is in the one, the number of exits in the other.
  if (leaf != kXstateLeaf && leaf != kHypervisorExitsLeaf) answer = {leaf, subleaf, result};
  return result;
}

void ArchVcpu::inject(u8 vector, std::optional<u32> error_code) {
  if (!backend_->inject_exception(vector, error_code)) crash(*this, describe(ExitReason::Shutdown));
}

}  // namespace hv
