// The unikernel's own translation on Arm: stage 1 of EL1, one range (TTBR0_EL1).
#pragma once

#include "kernel/mm/arm_descriptor.hpp"

namespace ax::mm {

namespace arm_descriptor {
inline constexpr u64 kPrivilegedExecuteNever = u64{1} << 53;
inline constexpr u64 kUserExecuteNever = kExecuteNever;
inline constexpr u64 kUserAccess = u64{1} << 6;  // AP[1]
}  // namespace arm_descriptor

/// Descriptors of the EL1&0 translation regime (Arm ARM D8.3.1, two privilege levels). Leaves are EL1's, and global: AP[1], access
/// from EL0, is clear, because what EL0 may write EL1 may not execute. user_leaf() makes one of EL0's.
struct ArmStage1El1Format : ArmStage1Format<arm_descriptor::kUserExecuteNever, arm_descriptor::kPrivilegedExecuteNever> {
  /// See open_to_user() in kernel/mm/user_pages.hpp. EL1 executes none of it.
  static constexpr bool kSplitsInPlace = false;
  static constexpr u64 user_table(u64 table) { return table; }
  static constexpr u64 user_leaf(u64 leaf) {
    using namespace arm_descriptor;
    const bool execute = (leaf & kPrivilegedExecuteNever) == 0;
    return (leaf & ~kUserExecuteNever) | (execute ? 0 : kUserExecuteNever) | kPrivilegedExecuteNever | kUserAccess;
  }

  /// TCR_EL1 for these tables: no walks for TTBR1_EL1. `pa_range` is ID_AA64MMFR0_EL1.PARange.
  static constexpr u64 tcr(unsigned pa_range) {
    constexpr u64 kNoUpperRange = u64{1} << 23;
    return kNoUpperRange | (arm_descriptor::physical_size(pa_range) << 32) | tcr_bits();
  }
};
static_assert(PageTableFormat<ArmStage1El1Format>);

/// TLB maintenance of the EL1 regime, whatever the ASID.
template <class Arch>
struct ArmStage1El1Tlb : ArmStage1Maintenance<Arch> {
  void invalidate(Hva address) { Arch::tlbi_vaae1is(address); }
  void invalidate_all() { Arch::tlbi_vmalle1is(); }
};

}  // namespace ax::mm
