#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <random>

#include "unikernel/memory/areas.hpp"

namespace ax::uni {
namespace {

constexpr Range<Hva> kWindow{Hva(0x10'0000), 64 * kPageSize};

std::vector<std::unique_ptr<std::byte[]>>& pages() {
  static std::vector<std::unique_ptr<std::byte[]>> all;
  return all;
}

Result<Range<Hva>> more() {
  pages().push_back(std::make_unique<std::byte[]>(kPageSize));
  return Range<Hva>{Hva(reinterpret_cast<u64>(pages().back().get())), kPageSize};
}

Range<Hva> at(u64 page, u64 count) { return {kWindow.base + page * kPageSize, count * kPageSize}; }

TEST(Areas, FindsTheFirstGapThatIsLargeEnough) {
  Areas areas(kWindow, more);
  ASSERT_TRUE(areas.insert(at(1, 2), kRead, true));
  ASSERT_TRUE(areas.insert(at(6, 1), kRead, true));
  EXPECT_EQ(areas.find_free(kPageSize, Hva(0))->base, at(0, 1).base);
  EXPECT_EQ(areas.find_free(2 * kPageSize, Hva(0))->base, at(3, 1).base);
  EXPECT_EQ(areas.find_free(4 * kPageSize, Hva(0))->base, at(7, 1).base);
  EXPECT_EQ(areas.find_free(58 * kPageSize, Hva(0)).error(), Error::OutOfMemory);
}

TEST(Areas, TakesAHintThatIsFree) {
  Areas areas(kWindow, more);
  ASSERT_TRUE(areas.insert(at(1, 2), kRead, true));
  EXPECT_EQ(areas.find_free(kPageSize, at(9, 1).base)->base, at(9, 1).base);
  EXPECT_EQ(areas.find_free(kPageSize, at(2, 1).base)->base, at(0, 1).base);
}

TEST(Areas, CutsWhatCrossesAnEdge) {
  Areas areas(kWindow, more);
  ASSERT_TRUE(areas.insert(at(0, 10), kRead | kWrite, true));
  ASSERT_TRUE(areas.isolate(at(3, 4)));
  areas.remove(at(3, 4));
  EXPECT_NE(areas.find(at(2, 1).base), nullptr);
  EXPECT_EQ(areas.find(at(3, 1).base), nullptr);
  EXPECT_EQ(areas.find(at(6, 1).base), nullptr);
  ASSERT_NE(areas.find(at(7, 1).base), nullptr);
  EXPECT_EQ(areas.find(at(7, 1).base)->range, at(7, 3));
  EXPECT_EQ(areas.find(at(7, 1).base)->protection, kRead | kWrite);
}

TEST(Areas, AgreesWithAMapOfPages) {
  Areas areas(kWindow, more);
  std::map<u64, u8> model;
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    const u64 first = random() % 60, count = 1 + random() % 4;
    const Range<Hva> range = at(first, count);
    ASSERT_TRUE(areas.isolate(range));
    areas.remove(range);
    for (u64 page = first; page < first + count; ++page) model.erase(page);
    if (random() % 2 == 0) {
      const u8 protection = static_cast<u8>(random() % 4);
      ASSERT_TRUE(areas.insert(range, protection, true));
      for (u64 page = first; page < first + count; ++page) model[page] = protection;
    }
    const u64 asked = random() % 64;
    const Area* area = areas.find(at(asked, 1).base);
    ASSERT_EQ(area != nullptr, model.contains(asked));
    if (area != nullptr) {
      ASSERT_EQ(area->protection, model[asked]);
    }
  }
}

}  // namespace
}  // namespace ax::uni
