// A virtual CPU: its place in the scheduler, its life, and what its physical CPU does with it.
#pragma once

#include <atomic>

#include "hypervisor/sched/task.hpp"
#include "hypervisor/vcpu/arch_vcpu.hpp"

namespace hv {

class Cpu;
class Vm;

/// What others ask of a vCPU; it looks before every guest entry. Bits from `FirstOfArch` on belong to ArchVcpu::serve().
enum class VcpuRequest : u32 {
  None = 0,
  Interrupt = 1 << 0,  ///< an interrupt may have become deliverable: stop waiting, look at the interrupt controller's model
  Start = 1 << 1,      ///< take the start state and run
  Stop = 1 << 2,       ///< the VM is being stopped: give up the hardware and report
  Pause = 1 << 3,      ///< leave the guest, report, and stay out of it
  Resume = 1 << 4,     ///< go on where it was
  FirstOfArch = 1 << 8,
};

/// Whether the guest has started a vCPU: PSCI's states (DEN0022 5.7), or an x86 processor before and after its start-up IPI.
enum class VcpuPower : u32 { Off, OnPending, On };

class Vcpu : public Task {
 public:
  /// `cpu_index`: the physical CPU it begins on, one of `how.cpus`. `guest_id`: what the guest knows it by: MPIDR_EL1 affinity,
  /// or APIC id.
  Vcpu(Vm& owner, unsigned vcpu_index, unsigned cpu_index, const Scheduling& how, u64 guest_id);

  /// Runs the guest until it blocks, stops, or has to make room: `state` says which. Only its own CPU's loop.
  void run(Cpu& cpu);

  /// Posts a request and makes the vCPU look at it. Any CPU, interrupts masked.
  void request(VcpuRequest what) { request(static_cast<u32>(what)); }
  void request(u32 bits);

  bool is_asked() const { return requests_.load(std::memory_order_relaxed) != 0; }
  /// A notification may make it ready: it is on and not paused, or asked to change one of them, or to end. Only its own CPU.
  bool can_wake() const {
    return (power() != VcpuPower::Off && !paused_) || is_asked(VcpuRequest::Start) || is_asked(VcpuRequest::Resume) || must_give_up();
  }
  /// It is to run only to be stopped or paused, which waits for no other guest and no budget.
  bool must_give_up() const { return is_asked(VcpuRequest::Stop) || is_asked(VcpuRequest::Pause); }

  /// Starts it if it is off. Any CPU. False: it is on, or being started.
  bool start(const StartState& state);
  VcpuPower power() const { return power_.load(std::memory_order_acquire); }

  /// Turns it off; a vCPU that is running stops at its next exit, which this causes. Any CPU, interrupts masked.
  void power_off();
  /// Waits for an interrupt (WFI, HLT). Only from its own exit handler.
  void wait();

  /// Takes its state out of the hardware. Only its own CPU.
  void put(Cpu& cpu);

  /// Times it has left its guest since it was made. Any CPU.
  u64 exits() const { return exits_.load(std::memory_order_relaxed); }
  /// It has just left its guest. Only its own CPU.
  void count_exit() { exits_.store(exits() + 1, std::memory_order_relaxed); }

  Vm& vm;
  const unsigned index;
  const u64 guest_id;
  ArchVcpu arch;

 private:
  bool is_asked(VcpuRequest what) const {
    return (requests_.load(std::memory_order_acquire) & static_cast<u32>(what)) != 0;
  }
  void load(Cpu& cpu);
  bool serve_requests(Cpu& cpu);
  void set_paused(Cpu& cpu, bool paused);

  std::atomic<u32> requests_{0};
  std::atomic<u64> exits_{0};  ///< written by its own CPU only
  std::atomic<VcpuPower> power_{VcpuPower::Off};
  bool paused_ = false;
  u64 reported_wait_ = 0;
  StartState start_state_{};  ///< written by start() before the request, read when it is served
};

}  // namespace hv
