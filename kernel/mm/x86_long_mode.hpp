// The hypervisor's own translation on x86-64: four-level paging (SDM vol. 3 4.5, APM vol. 2 5.3).
#pragma once

#include <algorithm>

#include "kernel/mm/page_table.hpp"

namespace ax::mm {

/// Bits of a long-mode entry.
namespace x86_entry {
inline constexpr u64 kPresent = u64{1} << 0;
inline constexpr u64 kWritable = u64{1} << 1;
inline constexpr u64 kUser = u64{1} << 2;
inline constexpr u64 kWriteThrough = u64{1} << 3;
inline constexpr u64 kCacheDisable = u64{1} << 4;
inline constexpr u64 kAccessed = u64{1} << 5;
inline constexpr u64 kDirty = u64{1} << 6;
inline constexpr u64 kLarge = u64{1} << 7;  ///< a leaf above height 0
inline constexpr u64 kExecuteDisable = u64{1} << 63;
inline constexpr u64 kOutputMask = 0x000f'ffff'ffff'f000;
inline constexpr unsigned kOutputBits = 52;
inline constexpr unsigned kLargestLeafHeight = 2;  ///< 1 GiB, where the CPU has it
}  // namespace x86_entry

/// Entries of four-level paging with EFER.NXE, supervisor pages only. The lower canonical half is used, so that every
/// address below 2^47 is an ordinary one. Device memory is uncached (PAT entry 3, as the PAT is after reset).
struct X86LongModeFormat {
  using Address = Hva;

  bool gigabyte_leaves = false;  ///< CPUID 0x80000001 EDX[26]

  static constexpr unsigned input_bits() { return 47; }
  static constexpr unsigned output_bits() { return x86_entry::kOutputBits; }
  static constexpr unsigned root_height() { return 3; }
  constexpr unsigned largest_leaf_height() const { return x86_entry::kLargestLeafHeight - (gigabyte_leaves ? 0 : 1); }

  static constexpr bool can_express(PageAttributes attributes) { return attributes.read; }

  static constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) {
    const bool device = attributes.type == MemoryType::Device;
    return address.value() | x86_entry::kPresent | kUsed | (height == 0 ? 0 : x86_entry::kLarge) |
           (attributes.write ? x86_entry::kWritable : 0) | (attributes.execute ? 0 : x86_entry::kExecuteDisable) |
           (device ? kUncached : 0);
  }
  static constexpr u64 table(Hpa address) {
    return address.value() | x86_entry::kPresent | x86_entry::kWritable | x86_entry::kAccessed;
  }
  static constexpr bool is_valid(u64 entry) { return (entry & x86_entry::kPresent) != 0; }
  static constexpr bool is_leaf(u64 entry, unsigned height) { return height == 0 || (entry & x86_entry::kLarge) != 0; }
  static constexpr Hpa output(u64 entry) { return Hpa(entry & x86_entry::kOutputMask); }
  static constexpr u64 broken(u64 entry) { return entry & ~x86_entry::kPresent; }

  static constexpr PageAttributes attributes(u64 leaf) {
    return {.read = true,
            .write = (leaf & x86_entry::kWritable) != 0,
            .execute = (leaf & x86_entry::kExecuteDisable) == 0,
            .type = (leaf & x86_entry::kCacheDisable) != 0 ? MemoryType::Device : MemoryType::Normal};
  }

  /// See open_to_user() in kernel/mm/user_pages.hpp.
  static constexpr bool kSplitsInPlace = true;
  static constexpr u64 user_table(u64 table) { return table | x86_entry::kUser; }
  static constexpr u64 user_leaf(u64 leaf) { return leaf | x86_entry::kUser; }

  /// A live leaf may change its permissions; its memory type and output may not (SDM vol. 3 11.12.4, 4.10.4.3).
  static constexpr bool needs_break(u64 from, u64 to) {
    return ((from ^ to) & ~(x86_entry::kWritable | x86_entry::kExecuteDisable | kUsed)) != 0;
  }

 private:
  /// Set from the start, so that the CPU never writes to a leaf.
  static constexpr u64 kUsed = x86_entry::kAccessed | x86_entry::kDirty;
  static constexpr u64 kUncached = x86_entry::kCacheDisable | x86_entry::kWriteThrough;
};
static_assert(PageTableFormat<X86LongModeFormat>);

/// TLB maintenance of the host's tables. `Arch` gives the single instructions: kernel/arch/*/arch/tlb.hpp. They act on
/// one CPU, so the others are asked to drop everything when an invalidation ends. Stores are ordered by the CPU, and
/// what is not present is never cached (SDM vol. 3 4.10.2.3).
template <class Arch>
struct X86LongModeTlb {
  using Address = Hva;
  /// Returns when every other CPU that runs has reloaded CR3. nullptr while there is none.
  using FlushOthers = void (*)();
  FlushOthers flush_others = nullptr;

  void order_table_stores() {}
  void publish() {}
  void begin_invalidation() {}
  void invalidate(Hva address) { Arch::invlpg(address); }
  void invalidate_all() { Arch::reload_cr3(); }
  void end_invalidation() {
    if (flush_others != nullptr) flush_others();
  }
};

}  // namespace ax::mm
