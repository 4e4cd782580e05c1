#include "hypervisor/vm/shared_regions.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

constexpr HpaRange kHost{Hpa(0x4000'0000), 0x1000};

TEST(SharedRegions, NobodyHasWhatWasNotAdded) {
  SharedRegions regions;
  EXPECT_FALSE(regions.join("ring"));
  EXPECT_FALSE(regions.leave("ring"));
}

TEST(SharedRegions, TheLastUserFreesTheMemory) {
  SharedRegions regions;
  ASSERT_TRUE(regions.add("ring", kHost));
  ASSERT_EQ(regions.join("ring"), kHost);
  EXPECT_FALSE(regions.leave("ring"));
  EXPECT_TRUE(regions.leave("ring"));
  EXPECT_FALSE(regions.join("ring"));
}

TEST(SharedRegions, NamesAreKeptApart) {
  SharedRegions regions;
  ASSERT_TRUE(regions.add("ring", kHost));
  ASSERT_TRUE(regions.add("log", {Hpa(0x5000'0000), 0x2000}));
  EXPECT_EQ(regions.add("ring", kHost), fail(Error::AlreadyExists));
  EXPECT_TRUE(regions.leave("ring"));
  EXPECT_TRUE(regions.join("log"));
}

TEST(SharedRegions, OutliveTheNameTheyWereMadeWith) {
  SharedRegions regions;
  const std::string second = "ring";
  {
    std::string first = "ring";
    ASSERT_TRUE(regions.add(first, kHost));
    ASSERT_TRUE(regions.join(second));
    regions.rename(second);
    first = "gone";
  }
  EXPECT_FALSE(regions.leave("ring"));
  EXPECT_TRUE(regions.leave("ring"));
}

TEST(SharedRegions, RefusesMoreThanItHasRoomFor) {
  SharedRegions regions;
  const std::string names = "abcdefghijklmnopqrstuvwxyz";
  for (usize i = 0; i < SharedRegions::kMaxRegions; ++i) ASSERT_TRUE(regions.add(std::string_view(names).substr(i, 1), kHost));
  EXPECT_FALSE(regions.add("one more", kHost));
}

}  // namespace
}  // namespace hv
