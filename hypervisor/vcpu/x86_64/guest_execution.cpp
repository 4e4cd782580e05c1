#include "hypervisor/vcpu/x86_64/guest_execution.hpp"

#include <arch/cpuid.hpp>

#include "hypervisor/vcpu/x86_64/hardware_state.hpp"
#include "hypervisor/vcpu/x86_64/xstate.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

class HostCpuid final : public CpuidSource {
 public:
  CpuidResult read(u32 leaf, u32 subleaf) const override {
    const auto r = arch::cpuid(leaf, subleaf);
    return {r.eax, r.ebx, r.ecx, r.edx};
  }
};

constinit const HostCpuid the_host_cpuid;

}  // namespace

const CpuidSource& host_cpuid() { return the_host_cpuid; }

Result<HpaRange> GuestExecution::Frames::allocate(u64 bytes, u64 alignment) {
  return platform::frames().lock()->allocate(bytes, mm::Owner::host(), alignment);
}
void GuestExecution::Frames::free(HpaRange frames) { platform::frames().lock()->free(frames, mm::Owner::host()); }

Result<void> GuestExecution::init(mm::ObjectAllocator& heap) {
  virtualization_ = TRY(create_virtualization(heap, frames_));
  xcr0_ = supported_xcr0(host_cpuid());
  facts_ = cpuid_facts(host_cpuid());
  return {};
}

Result<void> GuestExecution::init_cpu(unsigned cpu) {
  init_floating_point(xcr0_);
  return virtualization_->init_cpu(cpu);
}

}  // namespace hv
