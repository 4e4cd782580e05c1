// Random operations on real tables against a plain model: one entry per page in a std::map.
#include <gtest/gtest.h>

#include <arch/tlb.hpp>
#include <map>
#include <random>

#include "kernel/mm/arm_stage1_el2.hpp"
#include "kernel/mm/arm_stage2.hpp"
#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

struct ModelPage {
  Hpa target;
  PageAttributes attributes;
  friend bool operator==(const ModelPage&, const ModelPage&) = default;
};
using Model = std::map<u64, ModelPage>;

/// Few pages and few places, so that operations meet; all in 8 MiB around a 1 GiB border.
constexpr u64 kWindow = 1_GiB - 4_MiB;
constexpr u64 kWindowPages = 8_MiB / kPageSize;

template <class Table>
class Player {
 public:
  using Address = typename Table::Address;

  Player(Table& table, FakeTables& frames, unsigned seed) : table_(table), frames_(frames), random_(seed) {}

  void step() {
    frames_.available = below(8) == 0 ? below(3) : 1000;  // now and then there is hardly any memory
    const auto [base, pages] = random_range();
    const u64 before = frames_.allocated;
    switch (below(4)) {
      case 0:
      case 1: map(base, pages); break;
      case 2: unmap(base, pages); break;
      case 3: protect(base, pages); break;
    }
    if (failed_) {
      EXPECT_EQ(frames_.allocated, before) << "a failed operation kept tables";
    }
  }

  /// The tables say what the model says, and no table is empty.
  void compare() const {
    Model seen;
    table_.walk([&](const auto& leaf) {
      for (u64 offset = 0; offset < leaf.range.size; offset += kPageSize)
        seen[leaf.range.base.value() + offset] = {leaf.target + offset, leaf.attributes};
    });
    ASSERT_EQ(seen, model_);
    if (model_.empty()) {
      EXPECT_EQ(frames_.allocated, 0u) << "tables without any page";
    }
  }

  void compare_translation() {
    const u64 at = kWindow + below(kWindowPages * kPageSize);
    const auto expected = model_.find(align_down(at, kPageSize));
    const auto found = table_.translate(Address(at));
    ASSERT_EQ(found.has_value(), expected != model_.end());
    if (!found) return;
    EXPECT_EQ(found->address, expected->second.target + at % kPageSize);
    EXPECT_EQ(found->attributes, expected->second.attributes);
    EXPECT_GE(found->bytes_left, 1u);
    EXPECT_LE(found->bytes_left, 1_GiB);
  }

 private:
  u64 below(u64 n) { return random_() % n; }

  struct Pages {
    u64 base;
    u64 count;
  };
  Pages random_range() {
    const u64 unit = below(2) == 0 ? 512 : 1 + below(40);
    const u64 first = below(kWindowPages / unit) * unit;
    const u64 count = std::min(unit * (1 + below(3)), kWindowPages - first);
    return {kWindow + first * kPageSize, count};
  }
  PageAttributes random_attributes() {
    constexpr PageAttributes kAll[] = {kReadOnly, kReadWrite, kReadExecute, kDeviceReadWrite};
    return kAll[below(std::size(kAll))];
  }

  void check(Result<void> result, Error refused, bool allowed) {
    failed_ = !result;
    if (result) {
      ASSERT_TRUE(allowed);
    } else if (result.error() != Error::OutOfMemory) {
      ASSERT_EQ(result.error(), refused);
      ASSERT_FALSE(allowed);
    }
  }

  void map(u64 base, u64 pages) {
    const PageAttributes attributes = random_attributes();
    const Hpa target(below(4) == 0 ? base + below(4) * kPageSize : base);
    bool allowed = true;
    for (u64 i = 0; i < pages; ++i) {
      const auto existing = model_.find(base + i * kPageSize);
      allowed = allowed && (existing == model_.end() || existing->second == ModelPage{target + i * kPageSize, attributes});
    }
    const u64 largest = below(3) == 0 ? kPageSize : Table::kAnyLeaf;
    check(table_.map(frames_, {Address(base), pages * kPageSize}, target, attributes, largest), Error::AlreadyExists, allowed);
    for (u64 i = 0; !failed_ && i < pages; ++i) model_[base + i * kPageSize] = {target + i * kPageSize, attributes};
  }

  void unmap(u64 base, u64 pages) {
    check(table_.unmap(frames_, {Address(base), pages * kPageSize}), Error::OutOfMemory, true);
    if (!failed_) model_.erase(model_.lower_bound(base), model_.lower_bound(base + pages * kPageSize));
  }

  void protect(u64 base, u64 pages) {
    const PageAttributes attributes = random_attributes();
    const auto begin = model_.lower_bound(base), end = model_.lower_bound(base + pages * kPageSize);
    const bool allowed = static_cast<u64>(std::distance(begin, end)) == pages;
    check(table_.protect(frames_, {Address(base), pages * kPageSize}, attributes), Error::NotFound, allowed);
    if (failed_) return;
    for (auto page = begin; page != end; ++page) page->second.attributes = attributes;
  }

  Table& table_;
  FakeTables& frames_;
  std::mt19937 random_;
  Model model_;
  bool failed_ = false;
};

template <class Table>
void play(Table& table, FakeTables& frames, unsigned seed) {
  Player<Table> player(table, frames, seed);
  for (int step = 0; step < 300; ++step) {
    player.step();
    if (step % 10 == 0) player.compare();
    player.compare_translation();
    if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << step;
  }
  table.destroy(frames);
  EXPECT_EQ(frames.allocated, 0u);
}

TEST(PageTableProperty, Stage1AgreesWithAModel) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    FakeTables frames;
    using Table = PageTable<ArmStage1El2Format, ArmStage1El2Tlb<arch::Tlb>, FakeTableMemory>;
    Table table({}, {}, frames.allocate_root(), FakeTableMemory{&frames});
    play(table, frames, seed);
    if (HasFailure()) return;
  }
}

TEST(PageTableProperty, Stage2AgreesWithAModel) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    FakeTables frames;
    using Table = PageTable<ArmStage2Format, ArmStage2Tlb<arch::Tlb>, FakeTableMemory>;
    const auto geometry = *ArmStage2Geometry::reaching(Gpa(0xffff'ffff), 2);
    const Hpa root = frames.allocate_root();
    Table table(ArmStage2Format(geometry), {root, 1}, root, FakeTableMemory{&frames});
    play(table, frames, seed);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ax::mm
