// What the translation regimes of Arm have in common: descriptors (Arm ARM D8.3) and the order of TLB maintenance (D8.14).
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

/// Of a TCR or VTCR: write-back inner-shareable walks.
inline constexpr u64 kWalkAttributes = (u64{3} << 12) | (u64{1} << 10) | (u64{1} << 8);

/// The field PS or IPS of a TCR or VTCR for ID_AA64MMFR0_EL1.PARange: 52-bit addresses are used as 48-bit ones.
constexpr u64 physical_size(unsigned pa_range) {
  constexpr unsigned k48Bits = 5;
  return std::min(pa_range, k48Bits);
}
}  // namespace arm_descriptor

/// What both stages encode alike. 48-bit output addresses (no FEAT_LPA/LPA2).
struct ArmDescriptorFormat {
  static constexpr unsigned output_bits() { return arm_descriptor::kOutputBits; }
  static constexpr unsigned largest_leaf_height() { return arm_descriptor::kLargestBlockHeight; }
  static constexpr u64 table(Hpa address) { return address.value() | arm_descriptor::kValid | arm_descriptor::kTableOrPage; }
  static constexpr bool is_valid(u64 entry) { return (entry & arm_descriptor::kValid) != 0; }
  static constexpr bool is_leaf(u64 entry, unsigned height) { return height == 0 || (entry & arm_descriptor::kTableOrPage) == 0; }
  static constexpr Hpa output(u64 entry) { return Hpa(entry & arm_descriptor::kOutputMask); }
  static constexpr u64 broken(u64 entry) { return entry & ~arm_descriptor::kValid; }

 protected:
  static constexpr u64 leaf_bits(Hpa address, unsigned height) {
    return address.value() | arm_descriptor::kValid | (height == 0 ? arm_descriptor::kTableOrPage : 0) |
           arm_descriptor::kAccessFlag;
  }
};

/// The barriers around TLB maintenance of a stage 1. `Arch` gives the single instructions: kernel/arch/*/arch/tlb.hpp.
template <class Arch>
struct ArmStage1Maintenance {
  using Address = Hva;

  void order_table_stores() { Arch::dsb_ishst(); }
  void publish() {
    Arch::dsb_ishst();
    Arch::isb();
  }
  void begin_invalidation() { Arch::dsb_ishst(); }
  void end_invalidation() {
    Arch::dsb_ish();
    Arch::isb();
  }
};

/// Descriptors of a stage 1 with 4 KiB granule, 48-bit addresses and 4 levels, of which one privilege level is used. Memory types
/// are indices into the regime's MAIR, which must hold `kMair`. `kInEveryLeaf` and `kExecuteNever` are what regimes differ in.
template <u64 kInEveryLeaf, u64 kExecuteNever>
struct ArmStage1Format : ArmDescriptorFormat {
  using Address = Hva;

  /// Index 0 Normal write-back read/write-allocate, index 1 Device-nGnRE.
  static constexpr u64 kMair = 0x04'ff;

  static constexpr unsigned input_bits() { return 48; }
  static constexpr unsigned root_height() { return 3; }

  /// What is mapped may be read; there is no write-only memory.
  static constexpr bool can_express(PageAttributes attributes) { return attributes.read; }

  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) {
    const bool device = attributes.type == MemoryType::Device;
    return leaf_bits(address, height) | kInEveryLeaf | (attributes.write ? 0 : kReadOnly) |
           (attributes.execute ? 0 : kExecuteNever) | (device ? kDeviceIndex : kNormalIndex | arm_descriptor::kInnerShareable);
  }

  static constexpr PageAttributes attributes(u64 leaf) {
    return {.read = true,
            .write = (leaf & kReadOnly) == 0,
            .execute = (leaf & kExecuteNever) == 0,
            .type = (leaf & kIndexMask) == kDeviceIndex ? MemoryType::Device : MemoryType::Normal};
  }

  /// Permissions may change in a live descriptor; type, shareability and output may not (Arm ARM D8.14.1).
  static constexpr bool needs_break(u64 from, u64 to) { return ((from ^ to) & ~(kReadOnly | kExecuteNever)) != 0; }

 protected:
  /// TCR of such tables: T0SZ 16, walks as above. The rest is the regime's.
  static constexpr u64 tcr_bits() { return arm_descriptor::kWalkAttributes | (64 - input_bits()); }

 private:
  static constexpr u64 kReadOnly = u64{1} << 7;  // AP[2]
  static constexpr u64 kNormalIndex = u64{0} << 2;
  static constexpr u64 kDeviceIndex = u64{1} << 2;
  static constexpr u64 kIndexMask = u64{7} << 2;
};

}  // namespace ax::mm
