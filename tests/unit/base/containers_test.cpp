#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernel/base/bitmap.hpp"
#include "kernel/base/intrusive_list.hpp"

namespace ax {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Item {
  explicit Item(int n) : number(n) {}
  int number;
  ListHook hook;
};
using List = IntrusiveList<Item, &Item::hook>;

std::vector<int> numbers(const List& list) {
  std::vector<int> found;
  for (const Item& item : list) found.push_back(item.number);
  return found;
}

TEST(IntrusiveList, KeepsTheOrderOfInsertion) {
  Item a(1), b(2), c(3), d(4);
  List list;
  list.push_back(b);
  list.push_back(d);
  list.push_front(a);
  list.insert_before(d, c);
  EXPECT_THAT(numbers(list), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(list.back(), &d);
}

TEST(IntrusiveList, RemovesAnywhereAndLetsObjectsReturn) {
  Item a(1), b(2), c(3);
  List list;
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  List::remove(b);
  EXPECT_FALSE(b.hook.linked());
  EXPECT_THAT(numbers(list), ElementsAre(1, 3));
  list.push_back(b);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_THAT(numbers(list), ElementsAre(3, 2));
  list.pop_front();
  list.pop_front();
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_THAT(numbers(list), IsEmpty());
}

TEST(Bitmap, FindsMembersAndGapsAcrossWords) {
  Bitmap<130> set;
  EXPECT_TRUE(set.none());
  for (usize i : {0, 63, 64, 129}) set.set(i);
  EXPECT_EQ(set.count(), 4u);
  EXPECT_EQ(set.first_set(), 0u);
  EXPECT_EQ(set.first_set(1), 63u);
  EXPECT_EQ(set.first_set(65), 129u);
  EXPECT_EQ(set.first_set(130), std::nullopt);
  EXPECT_EQ(set.first_clear(), 1u);
  EXPECT_EQ(set.first_clear(63), 65u);
  EXPECT_EQ(set.first_clear(129), std::nullopt) << "129 is the last number";
}

TEST(Bitmap, IgnoresNumbersOutside) {
  Bitmap<10> set;
  set.set(10);
  set.set(~usize{0});
  EXPECT_TRUE(set.none());
  EXPECT_FALSE(set.test(63));
  for (usize i = 0; i < 10; ++i) set.set(i);
  EXPECT_EQ(set.first_clear(), std::nullopt);
  set.assign(3, false);
  EXPECT_EQ(set.first_clear(), 3u);
}

}  // namespace
}  // namespace ax
