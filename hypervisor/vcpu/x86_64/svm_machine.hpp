// AMD SVM: the machine's side, detected from CPUID (APM vol. 2 15.4).
#pragma once

#include <array>
#include <board_config.hpp>

#include "hypervisor/vcpu/x86_64/svm.hpp"

namespace hv::svm {

class SvmMachine final : public Virtualization {
 public:
  /// `frames` outlives the object, which is made on the boot CPU. Errors: NotSupported (logged), OutOfMemory.
  static Result<mm::Box<Virtualization>> create(mm::ObjectAllocator& heap, VmFrames& frames);
  /// Whether the CPU says that it has the extension.
  static bool present();

  explicit SvmMachine(VmFrames& frames) : frames_(frames) {}

  std::string_view name() const override { return "AMD SVM with nested paging"; }
  mm::NestedCapabilities nested() const override { return nested_; }
  Result<void> init_cpu(unsigned cpu) override;
  Result<mm::Box<VcpuBackend>> create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames,
                                           const VcpuSettings& settings) override;

 private:
  Result<void> detect();

  VmFrames& frames_;
  mm::NestedCapabilities nested_{};
  std::array<SvmCpu, board::kMaxCpus> cpus_{};
  SvmMachineState state_{};
};

}  // namespace hv::svm
