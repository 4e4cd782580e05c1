#include "platforms/common/stack_window.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ax::platform {
namespace {

using StackWindow = StackPlaces<u64{1} << 47>;

TEST(StackWindow, GivesEveryStackAPlaceOfItsOwnWithAGuard) {
  StackWindow window;
  std::set<u64> tops;
  for (usize i = 0; i < StackWindow::kPlaces; ++i) tops.insert(window.take()->value());
  ASSERT_EQ(tops.size(), StackWindow::kPlaces);
  u64 end = StackWindow::kBase;
  for (u64 top : tops) {
    EXPECT_GE(top - StackWindow::kLargestStack, end + kPageSize);
    end = top;
  }
}

TEST(StackWindow, RefusesOneStackTooManyAndReusesPlaces) {
  StackWindow window;
  for (usize i = 0; i < StackWindow::kPlaces; ++i) ASSERT_TRUE(window.take());
  EXPECT_EQ(window.take().error(), Error::OutOfMemory);
  const Hva top(StackWindow::kBase + 77 * StackWindow::kPlaceSize);
  window.give_back(top);
  EXPECT_EQ(window.take(), top);
}

}  // namespace
}  // namespace ax::platform
