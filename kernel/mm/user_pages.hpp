// Pages that programs in user mode may access, in tables whose other pages are the kernel's alone.
#pragma once

#include "kernel/mm/page_table.hpp"

namespace ax::mm {

/// Gives what is mapped at `range` the attributes, for the kernel and for user mode. A leaf that `range` has only a part of is
/// split where the format can do that in place (Format::kSplitsInPlace: its CPUs may translate by the old leaf or the new table,
/// which say the same), and is opened as a whole elsewhere. PageTable::protect() takes the access back. The lock of the table is
/// held. Errors: NotFound (part of it is not mapped), OutOfMemory; what came before that has changed.
template <class Format, class Tlb, TableSource Source>
Result<void> open_to_user(const Format& format, Tlb& tlb, Hpa root, Source& source, Range<Hva> range, PageAttributes attributes) {
  constexpr unsigned kIndexBits = 9;
  IdentityTableMemory memory;
  Hpa table = root;
  unsigned height = format.root_height();
  Result<void> result;
  for (Hva at = range.base; at < range.end();) {
    const unsigned shift = kPageShift + kIndexBits * height;
    const Hpa slot = table + (at.value() >> shift) % kTableEntries * kTableEntrySize;
    u64 entry = memory.read(slot);
    if (!format.is_valid(entry)) {
      result = fail(Error::NotFound);
      break;
    }
    const Range<Hva> leaf{at.align_down(u64{1} << shift), u64{1} << shift};
    if (format.is_leaf(entry, height)) {
      if (!Format::kSplitsInPlace || range.contains(leaf)) {
        memory.write(slot, format.user_leaf(format.leaf(format.output(entry), attributes, height)));
        tlb.begin_invalidation();
        tlb.invalidate(at);
        at = leaf.end();
        table = root;
        height = format.root_height();
        continue;
      }
      const Result<Hpa> parts = source.allocate_table();
      if (!parts) {
        result = fail(parts.error());
        break;
      }
      for (u64 i = 0; i < kTableEntries; ++i) {
        const Hpa part = format.output(entry) + (i << (shift - kIndexBits));
        memory.prepare(*parts + i * kTableEntrySize, format.leaf(part, format.attributes(entry), height - 1));
      }
      tlb.order_table_stores();
      entry = format.table(*parts);
    }
    memory.write(slot, format.user_table(entry));
    table = format.output(entry);
    --height;
  }
  tlb.end_invalidation();
  return result;
}

}  // namespace ax::mm
