#include "tools/xtask/core/toml_file.hpp"

#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

using test::failure_of;

TEST(TomlReader, ReadsEveryKind) {
  const TomlTable table = parse_toml(
      "text = 'a'\nwhole = 0x10\nreal = 2.5\nyes = true\nlist = ['a', 'b']\n[[rows]]\nx = 1\n[[rows]]\nx = 2\n", "f");
  TomlReader reader(table, "f");
  EXPECT_EQ(reader.string("text"), "a");
  EXPECT_EQ(reader.integer("whole"), 16);
  EXPECT_EQ(reader.number("real"), 2.5);
  EXPECT_EQ(reader.boolean("yes"), true);
  EXPECT_EQ(reader.strings("list"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(reader.tables("rows").size(), 2u);
  EXPECT_EQ(reader.string("absent"), std::nullopt);
  reader.finish();
}

TEST(TomlReader, NamesUnknownKeysWithTheirLine) {
  const TomlTable table = parse_toml("args = []\n\ntimeuot = 3\n", "boot.toml");
  TomlReader reader(table, "boot.toml");
  reader.strings("args");
  reader.number("timeout");
  EXPECT_STREQ(failure_of([&] { reader.finish(); }).what(),
               "boot.toml:3: 'timeuot': unknown key; did you mean 'timeout'?");
}

TEST(TomlReader, NamesWrongTypes) {
  const TomlTable table = parse_toml("args = 'x'\nsmp = 'two'\n", "f");
  TomlReader reader(table, "f");
  EXPECT_STREQ(failure_of([&] { reader.strings("args"); }).what(), "f:1: 'args': must be an array of strings");
  EXPECT_STREQ(failure_of([&] { reader.integer("smp"); }).what(), "f:2: 'smp': must be an integer");
}

TEST(Toml, SaysWhereTheSyntaxIsWrong) {
  const std::string message = failure_of([] { parse_toml("a = 1\nb = [1,\n", "f.toml"); }).what();
  EXPECT_TRUE(message.starts_with("f.toml:")) << message;
}

TEST(Toml, QuotesWhatItWrites) {
  const std::string nasty = "a \"quoted\" \\ line\nand\ttab";
  const TomlTable table = parse_toml("x = " + toml_quote(nasty), "f");
  EXPECT_EQ(std::get<std::string>(table.at("x").data), nasty);
}

TEST(Toml, TakesPlainWordsAsStrings) {
  EXPECT_EQ(std::get<std::string>(parse_toml_value("cortex-a53").data), "cortex-a53");
  EXPECT_EQ(std::get<std::int64_t>(parse_toml_value("2").data), 2);
}

}  // namespace
}  // namespace ax::xtask
