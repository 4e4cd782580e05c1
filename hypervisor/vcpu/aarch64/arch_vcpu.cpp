#include "hypervisor/vcpu/aarch64/arch_vcpu.hpp"

#include <arch/cpu.hpp>

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/aarch64/exits.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {
namespace {

constexpr u64 kPstateEl1hMasked = 0x3c5;  // EL1h, D A I F masked (Arm ARM D1.6.4: the state at reset)
constexpr u64 kSctlrEl1Reset = 0x30d0'0800;  // RES1 bits; MMU and caches off

}  // namespace

void ArchVcpu::reset(const StartState& start) {
  registers = {};
  registers.x[0] = start.context;
  registers.pc = start.entry.value();
  registers.pstate = kPstateEl1hMasked;
  system_ = {};
  system_.sctlr_el1 = kSctlrEl1Reset;
  fp_ = {};
  debug = {};
  if (DirectInterrupts* direct = vm_.interrupts().direct()) direct->reset(vcpu_);
}

void ArchVcpu::run_guest(Cpu&) {
  vm_.interrupts().flush(vcpu_);
  const ExitVector vector = ax_enter_guest(&registers, &vcpu_);
  if (vector != ExitVector::Answered) handle_exit(vcpu_, vector);
}

void ArchVcpu::load(unsigned cpu) {
  Cpu::current().cancel(virtual_timer_wake_);
  vm_.load_translation(cpu, vcpu_.index);
  load_system_registers(system_, vcpu_.guest_id, vcpu_.vm.time_offset());
  ax_restore_fp(&fp_);
  vm_.interrupts().load(vcpu_);
}

void ArchVcpu::put() {
  vm_.interrupts().put(vcpu_);
  ax_save_fp(&fp_);
  save_system_registers(system_);
  // Its timer runs on without the hardware: somebody has to wake it when it is due.
  if (timer_can_fire(system_.cntv_ctl_el0)) arm(virtual_timer_wake_, system_.cntv_cval_el0);
}

// A comparator may be set to a time that never comes.
void ArchVcpu::arm(Deadline& deadline, u64 guest_time) {
  const u64 ticks = guest_time + vcpu_.vm.time_offset();
  Cpu::current().arm(deadline, ticks < guest_time ? DeadlineQueue::kNever : ticks);
}

void ArchVcpu::cancel_timers() {
  suspend_timers();
  physical_timer_.control = 0;
}

void ArchVcpu::suspend_timers() {
  Cpu& cpu = Cpu::current();
  cpu.cancel(virtual_timer_wake_);
  cpu.cancel(physical_timer_);
}

// The virtual timer is the hardware's as soon as it is loaded.
void ArchVcpu::resume_timers() {
  if (timer_can_fire(physical_timer_.control)) set_physical_timer(physical_timer_.control, physical_timer_.compare);
}

void ArchVcpu::resume_time() { resume_timers(); }

void ArchVcpu::report_wait(u64 ticks) { vm_.stolen_time().report(vcpu_.vm.memory(), vcpu_.index, ticks); }

bool ArchVcpu::has_deliverable() { return vm_.interrupts().has_deliverable(vcpu_); }

void ArchVcpu::wake_for_timer(Deadline& deadline) {
  // Once it is loaded the hardware timer raises its interrupt by itself.
  Cpu::current().notify(static_cast<Timer&>(deadline).vcpu);
}

void ArchVcpu::virtual_timer_fired() {
  VirtualInterrupts& interrupts = vm_.interrupts();
  interrupts.hardware_interrupt(vcpu_, interrupts.virtual_timer_id());
  // The one that runs looks before its next entry anyway.
  if (vcpu_.state != Task::State::Running) Cpu::current().notify(vcpu_);
}

void ArchVcpu::set_physical_timer(u64 control, u64 compare_value) {
  physical_timer_.control = control;
  physical_timer_.compare = compare_value;
  const bool enabled = timer_can_fire(control);
  const bool due = enabled && compare_value <= vcpu_.vm.now();
  vm_.interrupts().set_physical_timer_line(vcpu_, due);
  if (enabled && !due) {
    arm(physical_timer_, compare_value);
  } else {
    Cpu::current().cancel(physical_timer_);
  }
}

u64 ArchVcpu::physical_timer_control() const {
  using arch::TimerControl;
  const bool due = (physical_timer_.control & TimerControl::ENABLE) != 0 && physical_timer_.compare <= vcpu_.vm.now();
  return physical_timer_.control | (due ? TimerControl::ISTATUS : 0);
}

void ArchVcpu::physical_timer_due(Deadline& deadline) {
  Vcpu& vcpu = static_cast<Timer&>(deadline).vcpu;
  vcpu.vm.arch.interrupts().set_physical_timer_line(vcpu, true);
  Cpu::current().notify(vcpu);
}

}  // namespace hv
