// Translation of a virtual machine's addresses on Arm: stage 2 of the EL1&0 regime, 4 KiB granule.
#pragma once

#include <algorithm>
#include <bit>

#include "kernel/mm/arm_descriptor.hpp"

namespace ax::mm {

/// How many IPA bits a stage-2 table translates, and where its walk starts (Arm ARM D8.2.2, table D8-9).
///
/// A level-1 start covers up to 39 bits with one table and up to 43 with 2 to 16 concatenated ones; more bits need a start
/// at level 0, which a CPU with fewer than 44 physical address bits refuses. A level-1 start walks one level less and is
/// taken whenever it reaches far enough.
class ArmStage2Geometry {
 public:
  static constexpr unsigned kMinIpaBits = 32;
  static constexpr unsigned kMaxLevel1Bits = 43;
  static constexpr unsigned kMaxIpaBits = 48;

  /// The smallest geometry that reaches `highest` on a CPU with ID_AA64MMFR0_EL1.PARange = `pa_range`, with at most
  /// `max_levels` (3 or 4) levels of lookup. Errors: OutOfRange (the CPU or the level limit does not reach that far),
  /// NotSupported (unknown PARange).
  static constexpr Result<ArmStage2Geometry> reaching(Gpa highest, unsigned pa_range, unsigned max_levels = 4) {
    constexpr unsigned kPhysicalBits[] = {32, 36, 40, 42, 44, kMaxIpaBits, kMaxIpaBits};
    if (pa_range >= std::size(kPhysicalBits)) return fail(Error::NotSupported);
    const unsigned needed = std::max<unsigned>(kMinIpaBits, std::bit_width(highest.value()));
    const unsigned reachable = max_levels >= 4 ? kMaxIpaBits : kMaxLevel1Bits;
    if (needed > std::min(kPhysicalBits[pa_range], reachable)) return fail(Error::OutOfRange);
    return ArmStage2Geometry(needed, pa_range);
  }

  constexpr unsigned ipa_bits() const { return ipa_bits_; }
  constexpr unsigned start_level() const { return ipa_bits_ <= kMaxLevel1Bits ? 1 : 0; }
  constexpr u64 root_size() const { return std::max(kPageSize, u64{1} << (ipa_bits_ - kShiftOfLevel[start_level()] + 3)); }

  /// VTCR_EL2 for this geometry: write-back inner-shareable walks, 4 KiB granule, VMIDs of 8 or 16 bits.
  constexpr u64 vtcr(unsigned vmid_bits) const {
    constexpr u64 kRes1 = u64{1} << 31;
    constexpr unsigned kShortVmid = 8;
    const u64 start = start_level() == 0 ? 2 : 1;  // SL0
    return kRes1 | (u64{vmid_bits > kShortVmid} << 19) | (arm_descriptor::physical_size(pa_range_) << 16) |
           arm_descriptor::kWalkAttributes | (start << 6) | (64 - ipa_bits_);
  }

 private:
  static constexpr unsigned kShiftOfLevel[] = {39, 30};

  constexpr ArmStage2Geometry(unsigned ipa_bits, unsigned pa_range) : ipa_bits_(ipa_bits), pa_range_(pa_range) {}

  unsigned ipa_bits_;
  unsigned pa_range_;
};

/// Stage-2 descriptors (Arm ARM D8.3.2, D8.5.5). Memory types are encoded directly, without FEAT_S2FWB.
class ArmStage2Format : public ArmDescriptorFormat {
 public:
  using Address = Gpa;

  explicit constexpr ArmStage2Format(ArmStage2Geometry geometry) : geometry_(geometry) {}

  constexpr const ArmStage2Geometry& geometry() const { return geometry_; }
  constexpr unsigned input_bits() const { return geometry_.ipa_bits(); }
  constexpr unsigned root_height() const { return 3 - geometry_.start_level(); }

  /// Every combination exists; without any permission each access faults with a permission fault.
  static constexpr bool can_express(PageAttributes) { return true; }

  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) {
    const bool device = attributes.type == MemoryType::Device;
    return leaf_bits(address, height) | (attributes.read ? kRead : 0) | (attributes.write ? kWrite : 0) |
           (attributes.execute ? 0 : arm_descriptor::kExecuteNever) |
           (device ? kDeviceMemory : kNormalMemory | arm_descriptor::kInnerShareable);
  }

  static constexpr PageAttributes attributes(u64 leaf) {
    return {.read = (leaf & kRead) != 0,
            .write = (leaf & kWrite) != 0,
            .execute = (leaf & arm_descriptor::kExecuteNever) == 0,
            .type = (leaf & kMemoryMask) == kDeviceMemory ? MemoryType::Device : MemoryType::Normal};
  }

  /// Permissions may change in a live descriptor; type, shareability and output may not (Arm ARM D8.14.1).
  static constexpr bool needs_break(u64 from, u64 to) {
    return ((from ^ to) & ~(kRead | kWrite | arm_descriptor::kExecuteNever)) != 0;
  }

 private:
  static constexpr u64 kRead = u64{1} << 6;   // S2AP[0]
  static constexpr u64 kWrite = u64{1} << 7;  // S2AP[1]
  static constexpr u64 kMemoryMask = u64{15} << 2;
  static constexpr u64 kNormalMemory = u64{15} << 2;  // MemAttr: outer and inner write-back
  static constexpr u64 kDeviceMemory = u64{1} << 2;   // MemAttr: Device-nGnRE

  ArmStage2Geometry geometry_;
};
static_assert(PageTableFormat<ArmStage2Format>);

/// TLB maintenance of one VM's stage 2. The instructions act on the VMID in VTTBR_EL2, so that the VM's is put there for
/// the time of an invalidation and the old one is put back. EL2, interrupts masked, not migrating; any CPU.
template <class Arch>
class ArmStage2Tlb {
 public:
  using Address = Gpa;

  /// VTTBR_EL2 for a root table and a VMID.
  static constexpr u64 vttbr(Hpa root, u16 vmid) { return (u64{vmid} << 48) | root.value(); }

  constexpr ArmStage2Tlb(Hpa root, u16 vmid) : vttbr_(vttbr(root, vmid)) {}

  u64 vttbr() const { return vttbr_; }

  void order_table_stores() { Arch::dsb_ishst(); }
  /// No ISB: what runs the guest next is an exception return.
  void publish() { Arch::dsb_ishst(); }

  void begin_invalidation() {
    Arch::dsb_ishst();
    previous_ = Arch::vttbr_el2();
    if (previous_ == vttbr_) return;
    Arch::set_vttbr_el2(vttbr_);
    Arch::isb();
  }
  void invalidate(Gpa address) {
    Arch::tlbi_ipas2e1is(address);
    by_address_ = true;
  }
  void invalidate_all() { Arch::tlbi_vmalls12e1is(); }
  void end_invalidation() {
    Arch::dsb_ish();
    if (by_address_) {
      // An IPA invalidation leaves entries that combine both stages: they go after the stage-2 walks cannot refill them.
      Arch::tlbi_vmalle1is();
      Arch::dsb_ish();
      by_address_ = false;
    }
    if (previous_ != vttbr_) Arch::set_vttbr_el2(previous_);
    Arch::isb();
  }

 private:
  u64 vttbr_;
  u64 previous_ = 0;
  bool by_address_ = false;
};

}  // namespace ax::mm
