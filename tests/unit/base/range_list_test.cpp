#include "kernel/base/range_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ax {
namespace {

using ::testing::ElementsAre;

HpaRange range(u64 base, u64 size) { return {Hpa(base), size}; }

TEST(SortRanges, PutsTheLowestBaseFirst) {
  GpaRange ranges[] = {{Gpa(0x3000), 1}, {Gpa(0x1000), 3}, {Gpa(0x2000), 2}, {Gpa(0x1000), 4}};
  sort_ranges(std::span<GpaRange>(ranges));
  EXPECT_THAT(ranges, ElementsAre(GpaRange{Gpa(0x1000), 3}, GpaRange{Gpa(0x1000), 4}, GpaRange{Gpa(0x2000), 2}, GpaRange{Gpa(0x3000), 1}));
}

TEST(SortAndJoin, JoinsWhatOverlapsOrTouches) {
  StaticVector<HpaRange, 8> ranges;
  for (const HpaRange r : {range(0x5000, 0x1000), range(0x1000, 0x1000), range(0x2000, 0x800), range(0x2400, 0x100), range(0x2700, 0x900)})
    ASSERT_TRUE(ranges.push_back(r));
  sort_and_join(ranges);
  EXPECT_THAT(std::vector(ranges.begin(), ranges.end()), ElementsAre(range(0x1000, 0x2000), range(0x5000, 0x1000)));
}

TEST(SortAndJoin, LeavesAnEmptyListAlone) {
  StaticVector<HpaRange, 2> ranges;
  sort_and_join(ranges);
  EXPECT_EQ(ranges.size(), 0u);
}

}  // namespace
}  // namespace ax
