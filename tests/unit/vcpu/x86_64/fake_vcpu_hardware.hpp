// The hardware around an x86 vCPU, played by the test: frames out of the host's memory, registers in a map.
#pragma once

#include <cstdlib>
#include <map>
#include <vector>

#include "hypervisor/vcpu/x86_64/hardware_state.hpp"

namespace hv::vcpu_test {

/// Frames that are simply aligned memory; `live` counts what has not been given back.
class HostFrames final : public VmFrames {
 public:
  Result<HpaRange> allocate(u64 bytes, u64 alignment) override {
    ++live;
    return HpaRange{Hpa(reinterpret_cast<u64>(std::aligned_alloc(alignment, bytes))), bytes};
  }
  void free(HpaRange frames) override {
    --live;
    std::free(reinterpret_cast<void*>(frames.base.value()));
  }

  usize live = 0;
};

/// What load() and put() of a vCPU touch.
struct Hardware {
  std::map<u32, u64> msrs;
  BreakpointAddresses breakpoints{};
  std::map<GuestRegister, u64> registers;  ///< CR2, DR6 and those that are MSRs
  u64 xcr0 = 0;
  std::vector<u8> interrupts;  ///< what the host took because of an exit
  unsigned nmis = 0;
};
inline Hardware hardware;

}  // namespace hv::vcpu_test
