// Physical interrupts: who gets which, and what the host does with its own.
#pragma once

#include <array>
#include <atomic>
#include <string_view>

#include "hypervisor/device/pci/vpci_function.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/spinlock.hpp"
#include "kernel/drivers/io_apic.hpp"
#include "kernel/drivers/local_apic.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

using namespace ax;

class Cpu;
class Hypervisor;
class Vm;

/// Dispatches every physical interrupt: the host's timer, IPIs and console, and the lines of devices that are passed through. A
/// line goes by its global system interrupt (GSI) and has one vector on every CPU.
///
/// An interrupt is taken where the host lets it in: a thread, an idle CPU, or the window that handle_pending() opens.
class PhysicalInterrupts {
 public:
  PhysicalInterrupts(Hypervisor& owner, const MachineInfo& machine) : hypervisor_(owner), machine_(machine) {}

  /// Boot CPU, before any other function. Errors: those of mapping the controllers' registers.
  Result<void> init();
  /// The platform has initialised each CPU's local APIC.
  Result<void> init_cpu(unsigned) { return {}; }
  std::string_view name() const { return apic_.is_x2apic() ? "x2APIC" : "xAPIC"; }
  /// Delivers an ISA device's interrupt to the host on the boot CPU. Boot CPU.
  void enable(u32 isa_interrupt);

  /// Called by a handler: serves the interrupt that brought it there. Elsewhere: lets pending interrupts in until there is none. The
  /// calling CPU, interrupts masked.
  void handle_pending(Cpu& cpu);

  /// Makes CPU `index` leave its guest or its sleep. Any CPU.
  void send_kick(unsigned index);

  /// From now on host line `gsi` is delivered to `vm` as pin `pin` of its I/O APIC, on the CPU of its first vCPU. A
  /// level-triggered line stays masked from each interrupt to line_ended(). Errors: OutOfRange, Busy (somebody owns it).
  Result<void> give_to_vm(u32 gsi, Vm& vm, u32 pin);
  /// A message that a PCI function may send from now on; each makes ArchVm::hardware_message(`number`) be called, on the CPU
  /// of the VM's first vCPU. Errors: OutOfMemory (all are given away), OutOfRange (a CPU whose APIC id messages cannot name).
  Result<PciMessage> give_message(Vm& vm, u32 number);
  /// The guest has ended the interrupt of one of its lines. Any CPU, interrupts masked.
  void line_ended(Vm& vm, u32 pin);
  /// Takes all of a VM's interrupts back; when it returns no CPU delivers one any more.
  void take_back(Vm& vm);

 private:
  static constexpr u32 kLines = drivers::host_vector::kLastLine - drivers::host_vector::kFirstLine + 1;
  static constexpr u32 kFirstMessage = 128;  ///< of the lines: these are messages, which have no pin

  struct Line {
    std::atomic<Vm*> vm{nullptr};
    u32 pin = 0;  ///< or the number of the message
    bool level = false;
  };
  using IoApics = StaticVector<drivers::IoApic, 8>;

  acpi::InterruptOverride signal_of(u32 gsi) const;
  bool route(u32 gsi, unsigned cpu);
  void set_masked(u32 gsi, bool masked);
  void dispatch(Cpu& cpu, u8 vector);
  void forward(u32 gsi);

  Hypervisor& hypervisor_;
  const MachineInfo& machine_;
  drivers::LocalApic apic_;
  Locked<IoApics, LockRank::HostInterrupts> io_apics_{};
  std::array<Line, kLines> lines_{};
  u32 console_gsi_ = kLines;
};

}  // namespace hv
