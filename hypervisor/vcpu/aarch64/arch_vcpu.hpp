// The state of an aarch64 vCPU.
#pragma once

#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/vcpu/aarch64/context.hpp"
#include "hypervisor/vcpu/aarch64/hardware_state.hpp"
#include "hypervisor/vcpu/aarch64/sysreg_emulation.hpp"

namespace hv {

class ArchVm;
class Cpu;
class Vcpu;

/// Where a vCPU begins: EL1h, MMU off, x0 = `context`.
struct StartState {
  Gpa entry{};
  u64 context = 0;
};

/// All functions: the vCPU's own CPU, interrupts masked.
class ArchVcpu {
 public:
  ArchVcpu(Vcpu& owner, ArchVm& vm) : vcpu_(owner), vm_(vm) {}

  /// The architectural state after reset. Not loaded.
  void reset(const StartState& start);
  /// Moves the state into the hardware registers, stage 2 and list registers included, and back.
  void load(unsigned cpu);
  void put();
  /// One stay in the guest: enters with the interrupts that are due, returns when its exit has been answered. Loaded.
  void run_guest(Cpu& cpu);
  /// No request belongs to this architecture alone.
  void serve(u32) {}
  /// How long it could not run although it wanted to, in host timer ticks.
  void report_wait(u64 ticks);
  /// Its timers fire no more until they are set again.
  void cancel_timers();
  /// It leaves for another CPU, put away; it has come from one. Its timers go with it.
  void suspend_timers();
  void resume_timers();
  u64 program_counter() const { return registers.pc; }
  /// The VM goes on after a pause, with another Vm::time_offset().
  void resume_time();
  /// An interrupt would end a WFI.
  bool has_deliverable();

  /// The physical CPU it runs on saw its virtual timer fire.
  void virtual_timer_fired();

  /// The emulated EL1 physical timer (CNTP_*). `control` without ISTATUS.
  void set_physical_timer(u64 control, u64 compare_value);
  u64 physical_timer_control() const;  ///< with ISTATUS
  u64 physical_timer_compare() const { return physical_timer_.compare; }

  GuestRegisters registers;
  DebugRegisters debug;

 private:
  void arm(Deadline& deadline, u64 guest_time);
  static void wake_for_timer(Deadline& deadline);
  static void physical_timer_due(Deadline& deadline);

  struct Timer : Deadline {
    Timer(Callback callback, Vcpu& owner) : Deadline(callback), vcpu(owner) {}
    Vcpu& vcpu;
    u64 control = 0;
    u64 compare = 0;  ///< in the VM's time
  };

  Vcpu& vcpu_;
  ArchVm& vm_;
  GuestSystemRegisters system_;
  GuestFpRegisters fp_;
  Timer virtual_timer_wake_{&wake_for_timer, vcpu_};  ///< armed while its CNTV runs and it is not loaded
  Timer physical_timer_{&physical_timer_due, vcpu_};
};

}  // namespace hv
