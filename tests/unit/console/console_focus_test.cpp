#include "hypervisor/console/console_focus.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

constexpr char kEscape = ConsoleFocus::kEscape;

TEST(ConsoleFocus, PassesCharactersOn) {
  ConsoleFocus focus;
  EXPECT_EQ(focus.type('a').character, 'a');
  EXPECT_EQ(focus.type('1').character, '1');
  EXPECT_FALSE(focus.type('1').chosen);
}

TEST(ConsoleFocus, ADigitBehindTheEscapeChoosesAVm) {
  ConsoleFocus focus;
  const auto escape = focus.type(kEscape);
  EXPECT_FALSE(escape.character);
  EXPECT_FALSE(escape.chosen);
  const auto digit = focus.type('3');
  EXPECT_EQ(digit.chosen, 2u);
  EXPECT_FALSE(digit.character);
  EXPECT_EQ(focus.type('3').character, '3') << "once";
}

TEST(ConsoleFocus, AnSBehindTheEscapeAsksForTheShell) {
  ConsoleFocus focus;
  EXPECT_FALSE(focus.type('s').shell);
  focus.type(kEscape);
  const auto input = focus.type('s');
  EXPECT_TRUE(input.shell);
  EXPECT_FALSE(input.character);
  EXPECT_EQ(focus.type('s').character, 's') << "once";
}

TEST(ConsoleFocus, TheEscapeTwiceIsTheCharacterItself) {
  ConsoleFocus focus;
  focus.type(kEscape);
  EXPECT_EQ(focus.type(kEscape).character, kEscape);
  EXPECT_EQ(focus.type('x').character, 'x');
}

TEST(ConsoleFocus, AnythingElseIsDropped) {
  ConsoleFocus focus;
  for (const char c : {'0', 'x', '\n'}) {
    focus.type(kEscape);
    const auto input = focus.type(c);
    EXPECT_FALSE(input.character);
    EXPECT_FALSE(input.chosen);
    EXPECT_FALSE(input.shell);
  }
}

}  // namespace
}  // namespace hv
