// The hypervisor's own translation on Arm: stage 1 of EL2, without VHE (one range, TTBR0_EL2).
#pragma once

#include "kernel/mm/arm_descriptor.hpp"

namespace ax::mm {

namespace arm_descriptor {
inline constexpr u64 kAp1Res1 = u64{1} << 6;  ///< AP[1] is RES1 with one privilege level
}

/// Descriptors of the EL2 translation regime (Arm ARM D8.3.1, one privilege level).
struct ArmStage1El2Format : ArmStage1Format<arm_descriptor::kAp1Res1, arm_descriptor::kExecuteNever> {
  /// TCR_EL2 for these tables. `pa_range` is ID_AA64MMFR0_EL1.PARange.
  static constexpr u64 tcr(unsigned pa_range) {
    constexpr u64 kRes1 = (u64{1} << 31) | (u64{1} << 23);
    return kRes1 | (arm_descriptor::physical_size(pa_range) << 16) | tcr_bits();
  }
};
static_assert(PageTableFormat<ArmStage1El2Format>);

/// TLB maintenance of the EL2 regime.
template <class Arch>
struct ArmStage1El2Tlb : ArmStage1Maintenance<Arch> {
  void invalidate(Hva address) { Arch::tlbi_vae2is(address); }
  void invalidate_all() { Arch::tlbi_alle2is(); }
};

}  // namespace ax::mm
