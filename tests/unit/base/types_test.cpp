#include "kernel/base/types.hpp"

#include <gtest/gtest.h>

#include "kernel/base/static_vector.hpp"

namespace ax {
namespace {

static_assert(!std::is_convertible_v<Gpa, Hpa>, "address spaces must not mix");
static_assert(!std::is_convertible_v<u64, Gpa>, "a bare number is not an address");

TEST(Range, ContainsOnlyWhatLiesInside) {
  const GpaRange range{Gpa(0x1000), 0x1000};
  EXPECT_TRUE(range.contains(Gpa(0x1fff)));
  EXPECT_FALSE(range.contains(Gpa(0x2000)));
  EXPECT_TRUE(range.contains(GpaRange{Gpa(0x1800), 0x800}));
  EXPECT_FALSE(range.contains(GpaRange{Gpa(0x1800), 0x801}));
  EXPECT_FALSE(range.contains(GpaRange{Gpa(0x1800), ~u64{0}}));
}

TEST(Range, NeighboursDoNotOverlap) {
  const GpaRange a{Gpa(0x1000), 0x1000};
  EXPECT_FALSE(a.overlaps({Gpa(0x2000), 0x1000}));
  EXPECT_TRUE(a.overlaps({Gpa(0x1fff), 1}));
  EXPECT_FALSE(a.overlaps({Gpa(0x1800), 0}));
}

TEST(StaticVector, RefusesMoreThanItsCapacity) {
  StaticVector<int, 2> v;
  EXPECT_TRUE(v.push_back(1));
  EXPECT_TRUE(v.push_back(2));
  EXPECT_EQ(v.push_back(3).error(), Error::OutOfMemory);
  v.erase(0);
  ASSERT_EQ(v.size(), 1u);
  EXPECT_EQ(v[0], 2);
}

}  // namespace
}  // namespace ax
