// The interrupt controller of one VM at work: the vGIC model, the hardware's list registers, and who must be told.
#pragma once

#include <array>
#include <optional>

#include "hypervisor/device/vgic.hpp"
#include "hypervisor/vcpu/aarch64/direct_interrupts.hpp"
#include "kernel/base/spinlock.hpp"
#include "kernel/drivers/gic_virtual.hpp"

namespace hv {

class PhysicalInterrupts;
class Vcpu;
class Vm;

/// Interrupts masked in every call. The model is reached under the VM's device lock only; the list registers of a vCPU are
/// touched only by the CPU it is loaded on.
class VirtualInterrupts final : private VgicHost {
 public:
  /// `config` has passed check().
  VirtualInterrupts(Vm& owner, PhysicalInterrupts& host, const VgicConfig& config, u32 virtual_timer_id, u32 physical_timer_id);

  /// Before a guest entry: the list registers hold what the vCPU is to see. Costs one load when nothing has changed.
  void flush(Vcpu& vcpu) {
    if (needs_flush(index_of(vcpu))) refill(vcpu);
  }
  bool needs_flush(unsigned vcpu) const { return vgic_.without_lock().needs_flush(vcpu); }
  /// Takes back what the guest did to its list registers (maintenance interrupt).
  void synchronize_loaded(Vcpu& vcpu);
  void load(Vcpu& vcpu);
  void put(Vcpu& vcpu);

  void set_line(u32 intid, bool asserted);
  /// The physical interrupt behind `virtual_id` was acknowledged and stays active until the guest deactivates it.
  void hardware_interrupt(Vcpu& vcpu, u32 virtual_id);
  void set_physical_timer_line(Vcpu& vcpu, bool asserted);
  void send_sgi(Vcpu& sender, SgiRegister which, u64 value);
  void deactivate(Vcpu& vcpu, u32 intid);
  bool has_deliverable(Vcpu& vcpu);

  /// The VM takes its interrupts directly from now on: the model answers for what never changes, and nothing goes through the
  /// list registers. Before any vCPU is loaded.
  void make_direct();
  /// nullptr: through the list registers.
  DirectInterrupts* direct() { return direct_ ? &*direct_ : nullptr; }
  /// SPI `intid` is the guest's, disabled. Direct only, before the VM runs.
  void give_directly(u32 intid);

  /// Register accesses of the guest.
  std::optional<u64> read(MmioDevice& device, const MmioAccess& access);
  bool write(MmioDevice& device, const MmioAccess& access, u64 value);
  MmioDevice& distributor() { return direct_ ? direct_->distributor() : distributor_; }
  MmioDevice& redistributors() { return direct_ ? direct_->redistributors() : redistributors_; }

  /// Makes SPI `virtual_id` hardware-backed by the host's `intid`. Before the VM runs. Error: OutOfRange.
  Result<void> map_hardware(u32 virtual_id, u32 intid);

  u32 virtual_timer_id() const { return virtual_timer_id_; }

 private:
  static constexpr usize kMaxVcpus = kMaxVgicVcpus;

  bool line_pending(unsigned vcpu, u32 intid) override;
  void clear_line_pending(unsigned vcpu, u32 intid) override;
  void deactivate_line(unsigned vcpu, u32 intid) override;
  void configure_line(u32 intid, bool edge) override;
  void synchronize(unsigned vcpu) override;

  static unsigned index_of(const Vcpu& vcpu);
  void refill(Vcpu& vcpu);
  bool reload(const Vcpu& vcpu, u32 ppi);
  void add_hardware_interrupt(unsigned vcpu, u32 virtual_id);
  void read_back(Vgic& vgic, unsigned vcpu);
  void write_out(unsigned vcpu);
  /// Interrupts the vCPUs that must look at their list registers again; after the lock has been released.
  void kick(u64 vcpus);
  template <class Action>
  auto with_vgic(Action action);

  Vm& vm_;
  PhysicalInterrupts& host_;
  const u32 virtual_timer_id_;
  const u32 physical_timer_id_;
  Locked<Vgic, LockRank::VirtualInterrupts> vgic_;
  VgicDistributor distributor_;
  VgicRedistributors redistributors_;
  std::optional<DirectInterrupts> direct_;
  /// Per vCPU, for the CPU it is loaded on: what its list registers hold, and the rest of its interface while put away.
  std::array<ListRegisterSet, kMaxVcpus> lists_{};
  std::array<drivers::VirtualInterfaceState, kMaxVcpus> interfaces_{};
};

}  // namespace hv
