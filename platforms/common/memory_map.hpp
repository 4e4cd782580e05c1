// The steps that every platform's final memory map has in common: VA = PA, W^X, holes below the boot CPU's stacks.
#pragma once

#include <span>

#include "platforms/common/image.hpp"
#include "platforms/common/ranges.hpp"

namespace ax::platform {

/// Page frames out of the image, for tables that are made before there is a frame allocator. They are never given back.
class TablePool {
 public:
  /// `frames` page-aligned pages.
  TablePool(const char* pages, usize frames) : pages_(pages), frames_(frames) {}
  Result<Hpa> allocate_table() {
    if (used_ == frames_) return fail(Error::OutOfMemory);
    return address_of(pages_) + kPageSize * used_++;
  }
  void free_table(Hpa) {}

 private:
  const char* pages_;
  usize frames_;
  usize used_ = 0;
};

/// Maps the pages around `range` at VA = PA. Errors: those of mm::PageTable::map().
template <class Table>
Result<void> map_identity(Table& table, TablePool& pool, HpaRange range, mm::PageAttributes attributes) {
  const HpaRange pages = whole_pages_around(range);
  return table.map(pool, identity(pages), pages.base, attributes);
}

/// Text read-execute, constants read-only, data and the boot CPU's stacks read-write. `guards` are the pages below the stacks, by
/// rising address; they stay holes.
template <class Table>
Result<void> map_image(Table& table, TablePool& pool, std::span<const char* const> guards) {
  const auto map = [&](const char* begin, const char* end, mm::PageAttributes attributes) {
    return map_identity(table, pool, {address_of(begin), static_cast<u64>(end - begin)}, attributes);
  };
  TRY(map(__image_start, __text_end, mm::kReadExecute));
  TRY(map(__text_end, __rodata_end, mm::kReadOnly));
  const char* begin = __rodata_end;
  for (const char* guard : guards) {
    TRY(map(begin, guard, mm::kReadWrite));
    begin = guard + kPageSize;
  }
  return map(begin, __image_end, mm::kReadWrite);
}

/// RAM that nothing reserves read-write, the boot loader's modules read-only. What is reserved is left out: speculation must not
/// reach what firmware keeps to itself.
template <class Table>
Result<void> map_ram(Table& table, TablePool& pool, const MachineInfo& machine) {
  const Holes holes = TRY(holes_of(machine));
  for (const HpaRange& ram : machine.ram) {
    TRY(for_each_gap(ram, holes, [&](HpaRange gap) { return map_identity(table, pool, gap, mm::kReadWrite); }));
  }
  for (const ModuleInfo& module : machine.modules) TRY(map_identity(table, pool, module.data, mm::kReadOnly));
  return {};
}

}  // namespace ax::platform
