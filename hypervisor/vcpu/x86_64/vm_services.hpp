// What a VM answers to its vCPUs' exits: hv::ArchVm implements it, unit tests play it.
#pragma once

#include <optional>
#include <string_view>

#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"
#include "hypervisor/vm/guest_memory.hpp"
#include "kernel/base/result.hpp"

namespace hv {

class Cpu;
class Vcpu;

/// Called on the CPU of the vCPU that is named, interrupts masked, its state loaded. `size` is in bytes.
class VmServices {
 public:
  virtual std::string_view name() const = 0;
  virtual unsigned index_of(const Vcpu& vcpu) const = 0;
  virtual GuestMemory& memory() = 0;

  virtual CpuidResult cpuid(Vcpu& vcpu, u32 leaf, u32 subleaf) = 0;
  /// Error or false: #GP.
  virtual Result<u64> msr_read(Vcpu& vcpu, u32 index) = 0;
  virtual bool msr_write(Vcpu& vcpu, u32 index, u64 value) = 0;
  /// Ports that nobody claims read as all ones and swallow what is written. Sizes 1, 2 and 4.
  virtual u32 port_in(Vcpu& vcpu, u16 port, u32 size) = 0;
  virtual void port_out(Vcpu& vcpu, u16 port, u32 size, u32 value) = 0;
  /// Nothing, false: nobody answers there. Sizes 1, 2, 4 and 8.
  virtual std::optional<u64> mmio_read(Vcpu& vcpu, Gpa address, u32 size) = 0;
  virtual bool mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value) = 0;
  /// The local APIC's task priority class, as CR8 has it: 0 to 15.
  virtual u8 task_priority(Vcpu& vcpu) = 0;
  virtual void set_task_priority(Vcpu& vcpu, u8 priority) = 0;

  /// Whether an interrupt waits that the vCPU's interrupt controller lets through.
  virtual bool interrupt_pending(Vcpu& vcpu) = 0;
  /// Acknowledges it; it is in service from now on.
  virtual std::optional<u8> take_interrupt(Vcpu& vcpu) = 0;

  /// The vCPU has waited so long for its CPU, in host timer ticks.
  virtual void report_wait(Vcpu& vcpu, u64 ticks) = 0;

  /// Sets the timer for what the vCPU's devices have due next, or for nothing.
  virtual void arm_timer(Vcpu& vcpu) = 0;
  virtual void cancel_timer(Vcpu& vcpu) = 0;

  /// The vCPU sleeps until it is notified. The callee looks first whether that has happened (ArchVcpu::has_deliverable()).
  virtual void wait(Vcpu& vcpu) = 0;
  /// Another task may run first.
  virtual void yield(Vcpu& vcpu) = 0;
  /// The vCPU cannot go on; the reason was logged. Stops the VM.
  virtual void crashed(Vcpu& vcpu) = 0;
  /// Physical interrupts are pending on this CPU, or a deadline may be due.
  virtual void handle_interrupts(Cpu& cpu) = 0;

 protected:
  ~VmServices() = default;
};

}  // namespace hv
