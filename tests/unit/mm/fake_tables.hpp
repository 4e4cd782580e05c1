// Memory for page tables that exists only in the test: catches accesses to tables that are not allocated, records stores
// to tables that a walker could see, and runs out of frames when told to.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <map>

#include <arch/recorder.hpp>

#include "kernel/mm/table_memory.hpp"

namespace ax::mm {

/// Tables by address, and the TableSource for them. The root may be larger than a page.
class FakeTables {
 public:
  static constexpr u64 kFirstTable = 0x10'0000;

  Hpa allocate_root(usize pages = 1) {
    const Hpa root(next_);
    for (usize i = 0; i < pages; ++i) add_table().fill(0);
    return root;
  }

  Result<Hpa> allocate_table() {
    if (available == 0) return fail(Error::OutOfMemory);
    --available;
    ++allocated;
    const Hpa table(next_);
    add_table().fill(0xdead'beef'dead'beef);  // a new frame may hold anything
    return table;
  }

  void free_table(Hpa table) {
    ASSERT_EQ(tables_.erase(table.value()), 1u) << "freed twice, or never allocated";
    ++available;
    --allocated;
  }

  u64& entry(Hpa address) {
    const auto table = tables_.find(align_down(address.value(), kPageSize));
    if (table == tables_.end()) {
      ADD_FAILURE() << "access to a table that is not allocated: " << std::hex << address.value();
      return stray_;
    }
    return table->second[address.value() % kPageSize / kTableEntrySize];
  }

  usize available = std::numeric_limits<usize>::max() / 2;
  usize allocated = 0;

 private:
  using Table = std::array<u64, kTableEntries>;

  Table& add_table() {
    Table& table = tables_[next_];
    next_ += kPageSize;
    return table;
  }

  std::map<u64, Table> tables_;
  u64 next_ = kFirstTable;
  u64 stray_ = 0;
};
static_assert(TableSource<FakeTables>);

struct FakeTableMemory {
  FakeTables* tables;

  u64 read(Hpa address) const { return tables->entry(address); }
  void write(Hpa address, u64 value) {
    arch::fake::record("write", address.value(), value);
    tables->entry(address) = value;
  }
  void prepare(Hpa address, u64 value) { tables->entry(address) = value; }
  void clear(Hpa table) {
    for (usize i = 0; i < kTableEntries; ++i) prepare(table + i * kTableEntrySize, 0);
  }
};
static_assert(TableMemory<FakeTableMemory>);

}  // namespace ax::mm
