// A VM whose interrupts go to it directly: its CPUs' interrupt interface is its own, but for what the host keeps in Group 0.
#pragma once

#include <array>

#include "hypervisor/device/direct_gic.hpp"
#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"

namespace hv {

class PhysicalInterrupts;
class Vcpu;
class Vm;

/// Each vCPU has a physical CPU to itself, and HCR_EL2 says FMO = 1, IMO = 0: Group 1 interrupts are taken by the guest, the
/// host's in Group 0 leave it, whatever it masks. The registers that both groups share, and those that send SGIs, are trapped
/// (ICH_HCR_EL2.TC). Interrupts masked in every call; the model is reached under the VM's device lock.
class DirectInterrupts final : private GicHardware {
 public:
  DirectInterrupts(Vm& vm, PhysicalInterrupts& host, Vgic& answers, u32 virtual_timer_id, u32 physical_timer_id);

  DirectGic& model() { return model_; }
  MmioDevice& distributor() { return distributor_; }
  MmioDevice& redistributors() { return redistributors_; }

  /// The CPU's interface becomes the guest's, and the host's again.
  void load(Vcpu& vcpu);
  void put(Vcpu& vcpu);
  /// A vCPU that is not loaded begins anew.
  void reset(Vcpu& vcpu);

  /// The vCPU on this CPU is going to wait: that is its business alone, unless expect_wait() has asked for it once.
  void waits(Vcpu& vcpu);
  static void expect_wait();

  /// ICC_CTLR_EL1, ICC_PMR_EL1, ICC_RPR_EL1 and ICC_DIR_EL1, trapped. Nothing: not one of them.
  static bool is_trapped(SystemRegisterAccess access);
  u64 read(Vcpu& vcpu, SystemRegisterAccess access);
  void write(Vcpu& vcpu, SystemRegisterAccess access, u64 value);

 private:
  /// The part of a CPU's interface that the guest has set.
  struct Interface {
    u64 control = 0;         ///< EOImode
    u64 enable_group1 = 0;
    u64 binary_point = 0;
    u8 mask = 0;             ///< as the guest wrote it
    bool fresh = true;       ///< not loaded since the vCPU began
    DirectGic::PrivateState interrupts{};
    std::array<u64, 4> active{};
  };

  unsigned frame_of(unsigned frame) const;
  u32 read(unsigned frame, u32 offset) override;
  void write(unsigned frame, u32 offset, u32 value) override;
  void write_priority(unsigned frame, u32 intid, u8 priority) override;
  void configure(u32 intid, bool edge) override;
  void route(u32 intid, unsigned vcpu) override;
  void send_sgi(u32 vcpus, u32 sgi) override;

  Vm& vm_;
  PhysicalInterrupts& host_;
  const u32 virtual_timer_id_;
  DirectGic model_;
  DirectGicDistributor distributor_{model_};
  DirectGicRedistributors redistributors_;
  std::array<Interface, kMaxVgicVcpus> interfaces_{};
};

}  // namespace hv
