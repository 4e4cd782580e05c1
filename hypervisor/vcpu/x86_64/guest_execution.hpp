// What lets this machine's CPUs run guests: AMD SVM or Intel VMX, found out at run time.
#pragma once

#include <string_view>

#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

namespace hv {

/// The CPUID instruction of the calling CPU.
const CpuidSource& host_cpuid();

class GuestExecution {
 public:
  /// Boot CPU, once, before any other function. `heap` outlives the object. Errors: NotSupported (neither extension, or
  /// locked off; the reason was logged), OutOfMemory.
  Result<void> init(mm::ObjectAllocator& heap);
  /// Each CPU, interrupts masked. Errors: those of Virtualization::init_cpu().
  Result<void> init_cpu(unsigned cpu);

  std::string_view name() const { return virtualization_->name(); }
  Virtualization& virtualization() { return *virtualization_; }
  /// What guests may enable in XCR0; 0 without XSAVE.
  u64 xcr0() const { return xcr0_; }
  const CpuidFacts& facts() const { return facts_; }

 private:
  /// The host's own frames, for control blocks.
  class Frames final : public VmFrames {
   public:
    Result<HpaRange> allocate(u64 bytes, u64 alignment) override;
    void free(HpaRange frames) override;
  };

  Frames frames_;
  mm::Box<Virtualization> virtualization_;
  u64 xcr0_ = 0;
  CpuidFacts facts_{};
};

}  // namespace hv
