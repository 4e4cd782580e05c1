// Physical interrupts: who gets which, and what the host does with its own.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/spinlock.hpp"
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
  void enable(u32 intid) {
    if (gic_.uses_group0()) gic_.move_to_group0(intid);
    gic_.enable(intid);
  }

  /// Acknowledges and handles interrupts until none is pending. The calling CPU, interrupts masked.
  void handle_pending(Cpu& cpu);

  /// Makes CPU `index` leave its guest or its sleep. Any CPU.
  void send_kick(unsigned index);

  /// From now on host interrupt `intid` is delivered to `vm` as interrupt `virtual_id`, on the CPU of its first vCPU,
  /// which stays there if the controller is a GICv2. The VM does not run yet.
  /// Errors: OutOfRange, Busy (somebody owns it).
  Result<void> give_to_vm(u32 intid, Vm& vm, u32 virtual_id, drivers::Trigger trigger);
  /// Takes all of a VM's interrupts back; when it returns no CPU delivers one any more and all are inactive.
  void take_back(Vm& vm);

  /// Why the interrupts of such a VM cannot go to it directly; empty: they can. After init().
  std::string_view why_injected(const VmConfig& config) const;
  /// An SPI that nobody has, for a VM's emulated device. Error: NotFound.
  Result<u32> find_free_spi() const;
  /// Trigger of an SPI. Any CPU, interrupts masked.
  void configure(u32 intid, drivers::Trigger trigger);

  drivers::Gic& gic() { return gic_; }
  drivers::GicVirtualInterface& virtual_interface() { return virtual_; }

 private:
  static constexpr u32 kInterruptCount = 1020;
  static constexpr u32 kFirstSpi = 32;
  static constexpr u32 kKickSgi = 15;  ///< one that guests do without

  struct Owner {
    std::atomic<Vm*> vm{nullptr};
    u32 virtual_id = 0;
  };

  /// True: the guest deactivates the interrupt, through its list register.
  bool handle(Cpu& cpu, u32 intid);
  bool handle_group0(Cpu& cpu);
  bool forward(u32 intid);

  Hypervisor& hypervisor_;
  const MachineInfo& machine_;
  drivers::Gic gic_;
  drivers::GicVirtualInterface virtual_;
  std::array<Owner, kInterruptCount> owners_{};
  struct Configuration {};
  Locked<Configuration, LockRank::HostInterrupts> configuration_{};  ///< a register of the distributor configures 16 lines
};

}  // namespace hv
