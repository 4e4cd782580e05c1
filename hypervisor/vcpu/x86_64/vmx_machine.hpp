// Intel VMX: the machine's side, detected from CPUID and the capability MSRs (SDM vol. 3 appendix A).
#pragma once

#include <array>
#include <board_config.hpp>

#include "hypervisor/vcpu/x86_64/vmx.hpp"

namespace hv::vmx {

class VmxMachine final : public Virtualization {
 public:
  /// `frames` outlives the object, which is made on the boot CPU. Errors: NotSupported (logged), OutOfMemory.
  static Result<mm::Box<Virtualization>> create(mm::ObjectAllocator& heap, VmFrames& frames);
  /// Whether the CPU says that it has the extension.
  static bool present();

  explicit VmxMachine(VmFrames& frames) : frames_(frames) {}

  std::string_view name() const override {
    return virtualizes_apic() ? "Intel VMX with extended page tables and virtual local APICs"
                              : "Intel VMX with extended page tables";
  }
  mm::NestedCapabilities nested() const override { return nested_; }
  bool virtualizes_apic() const override { return (state_.controls.secondary & kVirtualApicControls) != 0; }
  Result<void> init_cpu(unsigned cpu) override;
  Result<mm::Box<VcpuBackend>> create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames, const VcpuSettings& settings) override;

 private:
  Result<void> detect();
  Result<void> allocate_msr_permissions();

  VmFrames& frames_;
  mm::NestedCapabilities nested_{};
  std::array<VmxCpu, board::kMaxCpus> cpus_{};
  VmxMachineState state_{};
};

}  // namespace hv::vmx
