// The kernel's own translation on RISC-V: Sv39 (privileged specification 4.4).
#pragma once

#include "kernel/mm/page_table.hpp"

namespace ax::mm {

/// Bits of a page-table entry.
namespace riscv_entry {
inline constexpr u64 kValid = u64{1} << 0;
inline constexpr u64 kRead = u64{1} << 1;
inline constexpr u64 kWrite = u64{1} << 2;
inline constexpr u64 kExecute = u64{1} << 3;
inline constexpr u64 kUser = u64{1} << 4;
inline constexpr u64 kAccessed = u64{1} << 6;
inline constexpr u64 kDirty = u64{1} << 7;
inline constexpr u64 kSoftware = u64{1} << 8;  ///< the first bit that is left to software
inline constexpr unsigned kFrameShift = 10;
inline constexpr u64 kFrameMask = (u64{1} << 44) - 1;
}  // namespace riscv_entry

/// Entries of three-level paging, supervisor pages only, in the lower half of the address space. What is device memory the
/// machine decides by address, not the entry: a software bit remembers what a leaf was mapped as.
struct RiscvSv39Format {
  using Address = Hva;

  static constexpr unsigned input_bits() { return 38; }
  static constexpr unsigned output_bits() { return 56; }
  static constexpr unsigned root_height() { return 2; }
  static constexpr unsigned largest_leaf_height() { return 2; }

  static constexpr bool can_express(PageAttributes attributes) { return attributes.read; }

  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned) {
    using namespace riscv_entry;
    return table(address) | kRead | kUsed | (attributes.write ? kWrite : 0) | (attributes.execute ? kExecute : 0) |
           (attributes.type == MemoryType::Device ? kSoftware : 0);
  }
  static constexpr u64 table(Hpa address) {
    return address.value() >> kPageShift << riscv_entry::kFrameShift | riscv_entry::kValid;
  }
  static constexpr bool is_valid(u64 entry) { return (entry & riscv_entry::kValid) != 0; }
  static constexpr bool is_leaf(u64 entry, unsigned) { return (entry & (riscv_entry::kRead | riscv_entry::kExecute)) != 0; }
  static constexpr Hpa output(u64 entry) {
    return Hpa((entry >> riscv_entry::kFrameShift & riscv_entry::kFrameMask) << kPageShift);
  }
  static constexpr u64 broken(u64 entry) { return entry & ~riscv_entry::kValid; }

  static constexpr PageAttributes attributes(u64 leaf) {
    using namespace riscv_entry;
    return {.read = true,
            .write = (leaf & kWrite) != 0,
            .execute = (leaf & kExecute) != 0,
            .type = (leaf & kSoftware) != 0 ? MemoryType::Device : MemoryType::Normal};
  }

  /// See open_to_user() in kernel/mm/user_pages.hpp.
  static constexpr bool kSplitsInPlace = true;
  static constexpr u64 user_table(u64 table) { return table; }
  static constexpr u64 user_leaf(u64 leaf) { return leaf | riscv_entry::kUser; }

  /// A live leaf may change its permissions; it goes elsewhere by way of an invalid entry.
  static constexpr bool needs_break(u64 from, u64 to) {
    return ((from ^ to) & ~(riscv_entry::kWrite | riscv_entry::kExecute)) != 0;
  }

 private:
  /// Set from the start: a CPU may fault where it would have to set them.
  static constexpr u64 kUsed = riscv_entry::kAccessed | riscv_entry::kDirty;
};
static_assert(PageTableFormat<RiscvSv39Format>);

/// TLB maintenance. `Arch` gives the single instructions, which act on one CPU: the others are asked to drop everything when an
/// invalidation ends. A CPU may remember that an entry was invalid (4.2.1) and fault where one has become valid: the handler of
/// page faults finds that the tables allow the access, and lets it be tried again.
template <class Arch>
struct RiscvTlb {
  using Address = Hva;
  /// Returns when no other CPU uses what it remembers of the tables. nullptr while there is none.
  using FlushOthers = void (*)();
  FlushOthers flush_others = nullptr;

  void order_table_stores() { Arch::fence_stores(); }
  void publish() { Arch::fence_stores(); }
  void begin_invalidation() {}
  void invalidate(Hva address) { Arch::sfence_vma(address); }
  void invalidate_all() { Arch::sfence_vma_all(); }
  void end_invalidation() {
    if (flush_others != nullptr) flush_others();
  }
};

}  // namespace ax::mm
