#include <gmock/gmock.h>

#include <map>
#include <random>

#include "unikernel/memory/page_pool.hpp"

namespace ax::uni {
namespace {

struct Pool {
  std::vector<u64> first = std::vector<u64>(1024 / 64), second = std::vector<u64>(2);
  PagePool pool;
  Pool() {
    EXPECT_TRUE(pool.add({Hpa(0x4000'0000), 1024 * kPageSize}, first));
    EXPECT_TRUE(pool.add({Hpa(0x8000'1000), 70 * kPageSize}, second));
  }
};

TEST(PagePool, GivesEveryFrameOnce) {
  Pool p;
  std::map<u64, int> seen;
  while (const auto range = p.pool.take(1)) ++seen[range->base.value()];
  EXPECT_EQ(seen.size(), 1094U);
  EXPECT_EQ(p.pool.free_pages(), 0U);
  EXPECT_EQ(p.pool.take(1).error(), Error::OutOfMemory);
}

TEST(PagePool, BeginsLargeRequestsAtALargePage) {
  Pool p;
  ASSERT_TRUE(p.pool.take(1));
  const auto large = p.pool.take(512);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->base, Hpa(0x4020'0000));
  EXPECT_EQ(large->size, 2_MiB);
}

TEST(PagePool, GivesWhatIsThereWhenARunIsTooShort) {
  Pool p;
  ASSERT_TRUE(p.pool.take(1000));
  const auto rest = p.pool.take(100);
  ASSERT_TRUE(rest);
  EXPECT_LE(rest->size, 94 * kPageSize);
}

TEST(PagePool, SurvivesAnyOrderOfTakingAndGivingBack) {
  Pool p;
  std::mt19937 random(1);
  std::vector<HpaRange> taken;
  u64 pages = 0;
  for (int i = 0; i < 20000; ++i) {
    if (random() % 2 == 0) {
      if (const auto range = p.pool.take(1 + random() % 40)) {
        for (const HpaRange& other : taken) ASSERT_FALSE(other.overlaps(*range));
        taken.push_back(*range);
        pages += range->size / kPageSize;
      }
    } else if (!taken.empty()) {
      const usize at = random() % taken.size();
      HpaRange& range = taken[at];
      const u64 part = 1 + random() % (range.size / kPageSize);
      p.pool.give_back({range.base, part * kPageSize});
      pages -= part;
      range = {range.base + part * kPageSize, range.size - part * kPageSize};
      if (range.empty()) taken.erase(taken.begin() + static_cast<long>(at));
    }
    ASSERT_EQ(p.pool.free_pages(), 1094 - pages);
  }
}

}  // namespace
}  // namespace ax::uni
