// What lets this machine's CPUs run guests: EL2.
#pragma once

#include <string_view>

#include "hypervisor/vcpu/aarch64/hardware_state.hpp"
#include "hypervisor/vcpu/aarch64/host_entropy.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/heap.hpp"
#include "platforms/platform.hpp"

namespace hv {

class GuestExecution {
 public:
  /// Boot CPU, once, before init_cpu(). Never fails: the platform has started us at EL2.
  Result<void> init(mm::ObjectAllocator&) {
    entropy_.init(platform::machine().fdt);
    return {};
  }
  /// Each CPU, interrupts masked.
  Result<void> init_cpu(unsigned) {
    init_guest_execution();
    return {};
  }
  std::string_view name() const { return "EL2"; }
  EntropySource& entropy() { return entropy_; }

 private:
  HostEntropy entropy_;
};

}  // namespace hv
