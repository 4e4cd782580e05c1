// The VM around a vCPU, played by the test: what the code under test asks of hypervisor/vm/vm.hpp.
#pragma once

#include <optional>
#include <string_view>

#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"
#include "hypervisor/vm/guest_memory.hpp"
#include "kernel/base/result.hpp"

namespace hv {

enum class StopReason : u8 { None, PowerOff, Reset, Crash, Request };

class Vm {
 public:
  explicit Vm(GuestMemory& of) : memory_(of) {}
  std::string_view name() const { return "test"; }
  GuestMemory& memory() { return memory_; }
  void request_stop(StopReason reason) { crashes += reason == StopReason::Crash; }

  unsigned crashes = 0;

 private:
  GuestMemory& memory_;
};

struct Task {
  enum class State : u8 { Blocked, Ready, Running };
  State state = State::Running;
};

class Vcpu : public Task {
 public:
  explicit Vcpu(Vm& owner) : vm(owner) {}
  void wait() {
    ++waits;
    state = State::Blocked;
  }
  /// One turn in the guest at a time.
  bool is_asked() const { return true; }
  void count_exit() { ++exits; }

  Vm& vm;
  const unsigned index = 0;
  unsigned waits = 0, exits = 0;
};

class ArchVm {
 public:
  virtual ~ArchVm() = default;
  virtual CpuidResult cpuid(Vcpu& vcpu, u32 leaf, u32 subleaf) = 0;
  virtual std::optional<u64> msr_read(Vcpu& vcpu, u32 index) = 0;
  virtual bool msr_write(Vcpu& vcpu, u32 index, u64 value) = 0;
  virtual u32 port_in(u16 port, u32 size) = 0;
  virtual u32 board_port_in(u16 port) = 0;
  virtual void port_out(u16 port, u32 size, u32 value) = 0;
  virtual std::optional<u64> mmio_read(Vcpu& vcpu, Gpa address, u32 size) = 0;
  virtual bool mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value) = 0;
  virtual u8 task_priority(Vcpu& vcpu) = 0;
  virtual void set_task_priority(Vcpu& vcpu, u8 priority) = 0;
  virtual bool interrupt_pending(Vcpu& vcpu) = 0;
  virtual bool must_inject(Vcpu& vcpu) = 0;
  virtual std::optional<u8> take_interrupt(Vcpu& vcpu) = 0;
  virtual u8 priority_in_wait(Vcpu& vcpu) = 0;
  virtual InterruptState interrupt_state(Vcpu& vcpu) = 0;
  virtual void apic_written(Vcpu& vcpu, u32 offset) = 0;
  virtual void interrupt_ended(Vcpu& vcpu, u8 vector) = 0;
  ApicMode apic_mode(Vcpu&) { return ApicMode::Memory; }
  void adjust_counter(Vcpu&) {}
  void report_wait(Vcpu&, u64) {}
  void arm_timer(Vcpu&) {}
  void cancel_timer(Vcpu&) {}
};

}  // namespace hv
