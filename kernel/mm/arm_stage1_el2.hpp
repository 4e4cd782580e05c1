// The hypervisor's own translation on Arm: stage 1 of EL2, without VHE (one range, TTBR0_EL2), 4 KiB granule.
#pragma once

#include <algorithm>

#include "kernel/mm/page_table.hpp"

namespace ax::mm {

/// Fields of descriptors that stages 1 and 2 share (Arm ARM D8.3).
namespace arm_descriptor {
inline constexpr u64 kValid = u64{1} << 0;
inline constexpr u64 kTableOrPage = u64{1} << 1;  ///< clear in a block
inline constexpr u64 kInnerShareable = u64{3} << 8;
inline constexpr u64 kAccessFlag = u64{1} << 10;
inline constexpr u64 kExecuteNever = u64{1} << 54;
inline constexpr u64 kOutputMask = 0x0000'ffff'ffff'f000;
inline constexpr unsigned kOutputBits = 48;
inline constexpr unsigned kLargestBlockHeight = 2;  ///< 1 GiB; 512 GiB blocks need FEAT_LPA2
}  // namespace arm_descriptor

/// What both stages encode alike. 48-bit output addresses (no FEAT_LPA/LPA2).
struct ArmDescriptorFormat {
  static constexpr unsigned output_bits() { return arm_descriptor::kOutputBits; }
  static constexpr unsigned largest_leaf_height() { return arm_descriptor::kLargestBlockHeight; }
  static constexpr u64 table(Hpa address) {
    return address.value() | arm_descriptor::kValid | arm_descriptor::kTableOrPage;
  }
  static constexpr bool is_valid(u64 entry) { return (entry & arm_descriptor::kValid) != 0; }
  static constexpr bool is_leaf(u64 entry, unsigned height) {
    return height == 0 || (entry & arm_descriptor::kTableOrPage) == 0;
  }
  static constexpr Hpa output(u64 entry) { return Hpa(entry & arm_descriptor::kOutputMask); }
  static constexpr u64 broken(u64 entry) { return entry & ~arm_descriptor::kValid; }

 protected:
  static constexpr u64 leaf_bits(Hpa address, unsigned height) {
    return address.value() | arm_descriptor::kValid | (height == 0 ? arm_descriptor::kTableOrPage : 0) |
           arm_descriptor::kAccessFlag;
  }
};

/// Descriptors of the EL2 translation regime (Arm ARM D8.3.1, one privilege level), 48-bit addresses, 4 levels.
/// Memory types are indices into MAIR_EL2, which must hold `kMair`.
struct ArmStage1El2Format : ArmDescriptorFormat {
  using Address = Hva;

  /// MAIR_EL2: index 0 Normal write-back read/write-allocate, index 1 Device-nGnRE.
  static constexpr u64 kMair = 0x04'ff;
  static constexpr u64 kNormalIndex = u64{0} << 2;
  static constexpr u64 kDeviceIndex = u64{1} << 2;
  static constexpr u64 kIndexMask = u64{7} << 2;
  static constexpr u64 kAp1Res1 = u64{1} << 6;    ///< AP[1] is RES1 with one privilege level
  static constexpr u64 kApReadOnly = u64{1} << 7;

  static constexpr unsigned input_bits() { return 48; }
  static constexpr unsigned root_height() { return 3; }

  /// TCR_EL2 for these tables: T0SZ 16, write-back inner-shareable walks, 4 KiB granule, PS as the CPU has it.
  /// `pa_range` is ID_AA64MMFR0_EL1.PARange; 52-bit addresses are used as 48-bit ones.
  static constexpr u64 tcr(unsigned pa_range) {
    constexpr u64 kRes1 = (u64{1} << 31) | (u64{1} << 23);
    constexpr u64 kWalkAttributes = (u64{3} << 12) | (u64{1} << 10) | (u64{1} << 8);
    constexpr unsigned k48Bits = 5;
    return kRes1 | (u64{std::min(pa_range, k48Bits)} << 16) | kWalkAttributes | (64 - input_bits());
  }

  /// EL2 always may read what it maps; there is no write-only memory.
  static constexpr bool can_express(PageAttributes attributes) { return attributes.read; }

  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) {
    const bool device = attributes.type == MemoryType::Device;
    return leaf_bits(address, height) | kAp1Res1 | (attributes.write ? 0 : kApReadOnly) |
           (attributes.execute ? 0 : arm_descriptor::kExecuteNever) |
           (device ? kDeviceIndex : kNormalIndex | arm_descriptor::kInnerShareable);
  }

  static constexpr PageAttributes attributes(u64 leaf) {
    return {.read = true,
            .write = (leaf & kApReadOnly) == 0,
            .execute = (leaf & arm_descriptor::kExecuteNever) == 0,
            .type = (leaf & kIndexMask) == kDeviceIndex ? MemoryType::Device : MemoryType::Normal};
  }

  /// Permissions may change in a live descriptor; type, shareability and output may not (Arm ARM D8.14.1).
  static constexpr bool needs_break(u64 from, u64 to) {
    return ((from ^ to) & ~(kApReadOnly | arm_descriptor::kExecuteNever)) != 0;
  }
};
static_assert(PageTableFormat<ArmStage1El2Format>);

/// TLB maintenance of the EL2 regime. `Arch` gives the single instructions: kernel/arch/*/arch/tlb.hpp.
template <class Arch>
struct ArmStage1El2Tlb {
  using Address = Hva;

  void order_table_stores() { Arch::dsb_ishst(); }
  void publish() {
    Arch::dsb_ishst();
    Arch::isb();
  }
  void begin_invalidation() { Arch::dsb_ishst(); }
  void invalidate(Hva address) { Arch::tlbi_vae2is(address); }
  void invalidate_all() { Arch::tlbi_alle2is(); }
  void end_invalidation() {
    Arch::dsb_ish();
    Arch::isb();
  }
};

}  // namespace ax::mm
