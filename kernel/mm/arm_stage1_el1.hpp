// The unikernel's own translation on Arm: stage 1 of EL1, one range (TTBR0_EL1), 4 KiB granule. Nothing runs at EL0.
#pragma once

#include "kernel/mm/arm_stage1_el2.hpp"

namespace ax::mm {

/// Descriptors of the EL1&0 translation regime (Arm ARM D8.3.1, two privilege levels), of which only EL1 is used. Memory types
/// are indices into MAIR_EL1, which must hold `kMair`. All leaves are global.
struct ArmStage1El1Format : ArmDescriptorFormat {
  using Address = Hva;
  using El2 = ArmStage1El2Format;

  static constexpr u64 kMair = El2::kMair;
  static constexpr u64 kPrivilegedExecuteNever = u64{1} << 53;
  static constexpr u64 kUserExecuteNever = arm_descriptor::kExecuteNever;

  static constexpr unsigned input_bits() { return 48; }
  static constexpr unsigned root_height() { return 3; }

  /// TCR_EL1 for these tables: as in TCR_EL2, the size of physical addresses in IPS, and no walks for TTBR1_EL1.
  static constexpr u64 tcr(unsigned pa_range) {
    constexpr u64 kNoUpperRange = u64{1} << 23;
    constexpr u64 kWalkAttributes = (u64{3} << 12) | (u64{1} << 10) | (u64{1} << 8);
    constexpr unsigned k48Bits = 5;
    return kNoUpperRange | (u64{std::min(pa_range, k48Bits)} << 32) | kWalkAttributes | (64 - input_bits());
  }

  static constexpr bool can_express(PageAttributes attributes) { return attributes.read; }

  /// AP[1], access from EL0, stays clear: what EL0 may write EL1 may not execute.
  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) {
    const bool device = attributes.type == MemoryType::Device;
    return leaf_bits(address, height) | kUserExecuteNever | (attributes.write ? 0 : El2::kApReadOnly) |
           (attributes.execute ? 0 : kPrivilegedExecuteNever) |
           (device ? El2::kDeviceIndex : El2::kNormalIndex | arm_descriptor::kInnerShareable);
  }

  static constexpr PageAttributes attributes(u64 leaf) {
    return {.read = true,
            .write = (leaf & El2::kApReadOnly) == 0,
            .execute = (leaf & kPrivilegedExecuteNever) == 0,
            .type = (leaf & El2::kIndexMask) == El2::kDeviceIndex ? MemoryType::Device : MemoryType::Normal};
  }

  /// Permissions may change in a live descriptor; type, shareability and output may not (Arm ARM D8.14.1).
  static constexpr bool needs_break(u64 from, u64 to) {
    return ((from ^ to) & ~(El2::kApReadOnly | kPrivilegedExecuteNever)) != 0;
  }
};
static_assert(PageTableFormat<ArmStage1El1Format>);

/// TLB maintenance of the EL1 regime, whatever the ASID. `Arch` gives the single instructions: kernel/arch/*/arch/tlb.hpp.
template <class Arch>
struct ArmStage1El1Tlb {
  using Address = Hva;

  void order_table_stores() { Arch::dsb_ishst(); }
  void publish() {
    Arch::dsb_ishst();
    Arch::isb();
  }
  void begin_invalidation() { Arch::dsb_ishst(); }
  void invalidate(Hva address) { Arch::tlbi_vaae1is(address); }
  void invalidate_all() { Arch::tlbi_vmalle1is(); }
  void end_invalidation() {
    Arch::dsb_ish();
    Arch::isb();
  }
};

}  // namespace ax::mm
