// Where the random numbers of guests come from on this machine.
#pragma once

#include "hypervisor/vcpu/aarch64/trng.hpp"
#include "kernel/base/spinlock.hpp"

namespace hv {

/// The CPU's own generator (FEAT_RNG) where there is one. Else a generator seeded with /chosen/rng-seed of the machine's device tree,
/// which is as good as the firmware that wrote it. Without either there is none, and guests are told so. Any CPU.
class HostEntropy final : public EntropySource {
 public:
  /// Boot CPU, once. `fdt`: the machine's device tree.
  void init(std::span<const std::byte> fdt);

  bool present() override { return hardware_ || generator_.without_lock().seeded(); }
  bool fill(std::span<u64> words) override;

 private:
  bool hardware_ = false;
  Locked<RandomGenerator, LockRank::VirtualDevice> generator_;
};

}  // namespace hv
