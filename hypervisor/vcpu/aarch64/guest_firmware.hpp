// PSCI's questions about a VM, answered by the VM.
#pragma once

#include "hypervisor/vcpu/aarch64/psci.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

/// For the time of one call by `caller`, on its CPU.
class GuestFirmware final : public PsciHost {
 public:
  explicit GuestFirmware(Vcpu& caller) : vm_(caller.vm), caller_(caller) {}

  unsigned vcpu_count() override { return vm_.vcpu_count(); }
  u64 mpidr_of(unsigned vcpu) override { return vm_.vcpu(vcpu)->guest_id; }
  PsciPower power_of(unsigned vcpu) override {
    switch (vm_.vcpu(vcpu)->power()) {
      case VcpuPower::On: return PsciPower::On;
      case VcpuPower::OnPending: return PsciPower::OnPending;
      case VcpuPower::Off: break;
    }
    return PsciPower::Off;
  }
  bool start(unsigned vcpu, Gpa entry, u64 context) override { return vm_.vcpu(vcpu)->start({entry, context}); }
  bool is_ram(Gpa address) override { return vm_.is_ram(address); }
  u64 exits() override { return caller_.exits(); }
  bool has_stolen_time() override { return vm_.arch.stolen_time().available(); }
  Gpa stolen_time() override { return vm_.arch.stolen_time().announce(vm_.memory(), caller_.index, caller_.waited); }

 private:
  Vm& vm_;
  Vcpu& caller_;
};

}  // namespace hv
