// Physical interrupts: who gets which, and what the host does with its own.
#pragma once

#include <array>
#include <atomic>

#include "kernel/base/result.hpp"
#include "kernel/drivers/gic.hpp"
#include "kernel/drivers/gic_virtual.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

using namespace ax;

class Cpu;
class Hypervisor;
class Vm;

/// Dispatches every physical interrupt: the host's timer, IPIs and console, the guests' virtual timers, and the lines of
/// devices that are passed through.
class PhysicalInterrupts {
 public:
  PhysicalInterrupts(Hypervisor& owner, const MachineInfo& machine) : hypervisor_(owner), machine_(machine) {}

  /// Boot CPU, before any other function. Errors: those of mapping the controller's registers.
  Result<void> init();
  /// Each CPU, for itself. Errors: those of Gic::init_cpu().
  Result<void> init_cpu(unsigned index);

  /// What the banner says of the controller.
  std::string_view name() const { return machine_.gic.version == 2 ? "GICv2" : "GICv3"; }
  /// Delivers a device's interrupt to the host on the boot CPU. Boot CPU.
  void enable(u32 intid) { gic_.enable(intid); }

  /// Acknowledges and handles interrupts until none is pending. The calling CPU, interrupts masked.
  void handle_pending(Cpu& cpu);

  /// Makes CPU `index` leave its guest or its sleep. Any CPU.
  void send_kick(unsigned index);

  /// From now on host interrupt `intid` is delivered to `vm` as interrupt `virtual_id`, on the CPU of its first vCPU.
  /// Errors: OutOfRange, Busy (somebody owns it).
  Result<void> give_to_vm(u32 intid, Vm& vm, u32 virtual_id, drivers::Trigger trigger);
  /// Takes all of a VM's interrupts back; when it returns no CPU delivers one any more and all are inactive.
  void take_back(Vm& vm);

  drivers::Gic& gic() { return gic_; }
  drivers::GicVirtualInterface& virtual_interface() { return virtual_; }

 private:
  static constexpr u32 kInterruptCount = 1020;
  static constexpr u32 kFirstSpi = 32;
  static constexpr u32 kKickSgi = 0;

  struct Owner {
    std::atomic<Vm*> vm{nullptr};
    u32 virtual_id = 0;
  };

  /// True: the guest deactivates the interrupt, through its list register.
  bool handle(Cpu& cpu, u32 intid);
  bool forward(u32 intid);

  Hypervisor& hypervisor_;
  const MachineInfo& machine_;
  drivers::Gic gic_;
  drivers::GicVirtualInterface virtual_;
  std::array<Owner, kInterruptCount> owners_{};
};

}  // namespace hv
