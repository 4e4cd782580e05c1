#include "tools/xtask/core/suggest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ax::xtask {
namespace {

const std::vector<std::string> kWords{"qemu", "build", "defconfig", "clean"};

TEST(Suggest, FindsSwappedMissingAndWrongLetters) {
  EXPECT_EQ(nearest("qmeu", kWords), "qemu");
  EXPECT_EQ(nearest("buil", kWords), "build");
  EXPECT_EQ(nearest("defcomfig", kWords), "defconfig");
}

TEST(Suggest, FindsWhatABeginningStandsFor) { EXPECT_EQ(nearest("def", kWords), "defconfig"); }

TEST(Suggest, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest("xyzzy", kWords), "");
  EXPECT_EQ(nearest("qeum", std::vector<std::string>{"", "qemu"}), "qemu") << "nothing is near to nothing";
  EXPECT_EQ(did_you_mean("xyzzy", kWords), "");
  EXPECT_EQ(did_you_mean("cleen", kWords), "; did you mean 'clean'?");
}

}  // namespace
}  // namespace ax::xtask
