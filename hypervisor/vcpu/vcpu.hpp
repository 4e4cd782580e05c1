// A virtual CPU of an aarch64 guest: its state, and what its physical CPU does with it.
#pragma once

#include <atomic>

#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/sched/task.hpp"
#include "hypervisor/vcpu/aarch64/context.hpp"

namespace hv {

class Cpu;
class Vm;

/// What others ask of a vCPU; it looks before every guest entry.
enum class VcpuRequest : u32 {
  None = 0,
  Interrupt = 1 << 0,  ///< an interrupt may have become deliverable: leave WFI, refill the list registers
  Start = 1 << 1,      ///< PSCI CPU_ON: take the start address and run
  Stop = 1 << 2,       ///< the VM is being stopped: give up the hardware and report
};

/// PSCI's view of a vCPU (DEN0022 5.7).
enum class VcpuPower : u32 { Off, OnPending, On };

class Vcpu : public Task {
 public:
  /// `cpu_index`: the physical CPU it is bound to. `mpidr`: affinity fields the guest sees in MPIDR_EL1.
  Vcpu(Vm& owner, unsigned vcpu_index, unsigned cpu_index, u64 mpidr);

  /// Runs the guest until it blocks, stops, or has to make room: `state` says which. Only its own CPU's loop.
  void run(Cpu& cpu);

  /// Posts a request and makes the vCPU look at it. Any CPU, interrupts masked.
  void request(VcpuRequest what);

  /// PSCI CPU_ON: wins if the vCPU is off. Any CPU. False: it is on, or being started.
  bool start(Gpa entry, u64 context);
  VcpuPower power() const { return power_.load(std::memory_order_acquire); }

  /// The guest turned itself off (PSCI CPU_OFF). Only from its own exit handler.
  void power_off();
  /// Waits for an interrupt (WFI). Only from its own exit handler.
  void wait();

  /// The physical CPU it runs on saw its virtual timer fire.
  void virtual_timer_fired();

  /// The emulated EL1 physical timer (CNTP_*). `control` without ISTATUS.
  void set_physical_timer(u64 control, u64 compare_value);
  u64 physical_timer_control() const;  ///< with ISTATUS
  u64 physical_timer_compare() const { return physical_timer_.compare; }

  /// Takes its state out of the hardware. Only its own CPU.
  void put(Cpu& cpu);

  Vm& vm;
  const unsigned index;
  const u64 mpidr;
  GuestRegisters registers;

 private:
  void load(Cpu& cpu);
  bool serve_requests(Cpu& cpu);
  void reset(Gpa entry, u64 context);
  static void wake_for_timer(Deadline& deadline);
  static void physical_timer_due(Deadline& deadline);

  struct Timer : Deadline {
    Timer(Callback callback, Vcpu& owner) : Deadline(callback), vcpu(owner) {}
    Vcpu& vcpu;
    u64 control = 0;
    u64 compare = 0;  ///< counter ticks
  };

  GuestSystemRegisters system_;
  GuestFpRegisters fp_;
  std::atomic<u32> requests_{0};
  std::atomic<VcpuPower> power_{VcpuPower::Off};
  Gpa start_entry_{};      ///< written by start() before the request, read when it is served
  u64 start_context_ = 0;
  Timer virtual_timer_wake_{&wake_for_timer, *this};  ///< armed while its CNTV runs and it is not loaded
  Timer physical_timer_{&physical_timer_due, *this};
};

}  // namespace hv
