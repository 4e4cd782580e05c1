#include "tools/menuconfig/toml_text.hpp"

#include <gtest/gtest.h>

namespace ax::menuconfig {
namespace {

using Elements = std::vector<std::string>;

std::string with(std::string text, std::string_view section, std::string_view path, std::string_view value) {
  TomlText toml(std::move(text));
  const auto done = toml.set(section, path, value);
  return done ? toml.text() : "error: " + done.error();
}

std::string with_elements(std::string text, std::string_view path, const Elements& elements) {
  TomlText toml(std::move(text));
  EXPECT_TRUE(toml.set_elements("", path, elements));
  return toml.text();
}

TEST(TomlTextTest, ReplacesOnlyTheValue) {
  EXPECT_EQ(with("# first\nsmp  =  4   # four\nlog = 'Info'\n", "", "smp", "8"), "# first\nsmp  =  8   # four\nlog = 'Info'\n");
  EXPECT_EQ(with("a = 1\n[kernel]\n\tentry = 0x8_0000#x\n", "kernel", "kernel.entry", "2"), "a = 1\n[kernel]\n\tentry = 2#x\n");
  EXPECT_EQ(with("kernel.entry = 1", "kernel", "kernel.entry", "2"), "kernel.entry = 2");
  EXPECT_EQ(with("\"a\" = \"\"\"x\n = 1\n\"\"\"\nb = 1\n", "", "b", "2"), "\"a\" = \"\"\"x\n = 1\n\"\"\"\nb = 2\n");
  EXPECT_EQ(with("a = [1, # ]\n 2]\r\nb = 1\r\n", "", "b", "2"), "a = [1, # ]\n 2]\r\nb = 2\r\n");
}

TEST(TomlTextTest, AddsAfterTheLastKeyOfTheTable) {
  EXPECT_EQ(with("# about\n\na = 1\n# of b\n[b]\nc = 1\n", "", "smp", "2"), "# about\n\na = 1\nsmp = 2\n# of b\n[b]\nc = 1\n");
  EXPECT_EQ(with("[b]\nc = 1\n\n# next\n[d]\n", "b", "b.e", "2"), "[b]\nc = 1\ne = 2\n\n# next\n[d]\n");
  EXPECT_EQ(with("[d]\n", "d", "d.e", "2"), "[d]\ne = 2\n");
  EXPECT_EQ(with("a = 1", "d", "d.e", "2"), "a = 1\n\n[d]\ne = 2\n");
  EXPECT_EQ(with("", "d", "d.e", "2"), "[d]\ne = 2\n");
  EXPECT_EQ(with("# about\n[d]\n", "", "a", "1"), "# about\na = 1\n[d]\n");
  EXPECT_EQ(with("a = 1", "", "b", "2"), "a = 1\nb = 2\n");
  EXPECT_EQ(with("d = {e = 1}\n", "d", "d.f", "2"),
            "error: 'd' is written as a table in one line: make it a table with a line [d] first");
}

TEST(TomlTextTest, LeavesTablesInDoubleBracketsAlone) {
  EXPECT_EQ(with("[[steps]]\nname = \"a\"\n[[steps]]\nname = \"b\"\n", "", "name", "1"),
            "name = 1\n[[steps]]\nname = \"a\"\n[[steps]]\nname = \"b\"\n");
}

TEST(TomlTextTest, RemovesTheKeyWithItsLine) {
  TomlText toml("a = 1\n# of b\nb = [1,\n 2] # two\nc = 3\n");
  toml.remove("b");
  toml.remove("nothing");
  EXPECT_EQ(toml.text(), "a = 1\n# of b\nc = 3\n");
}

TEST(TomlTextTest, KeepsTheCommentsBetweenElements) {
  const std::string list = "x = [\n  # first\n  1,  # one\n  2,\n  3  # three\n]\n";
  EXPECT_EQ(with_elements(list, "x", {"1", "3"}), "x = [\n  # first\n  1,  # one\n  3  # three\n]\n");
  EXPECT_EQ(with_elements(list, "x", {"1", "2", "3", "4"}), "x = [\n  # first\n  1,  # one\n  2,\n  3,  # three\n  4,\n]\n");
  EXPECT_EQ(with_elements(list, "x", {"1", "2"}), "x = [\n  # first\n  1,  # one\n  2,\n]\n");
  EXPECT_EQ(with_elements(list, "x", {}), "x = [\n  # first\n]\n");
}

TEST(TomlTextTest, ChangesListsOfOneLine) {
  EXPECT_EQ(with_elements("x = [1, 2, 3] # c\n", "x", {"1", "3"}), "x = [1, 3] # c\n");
  EXPECT_EQ(with_elements("x = [1, 2, 3] # c\n", "x", {"1", "2"}), "x = [1, 2] # c\n");
  EXPECT_EQ(with_elements("x = [1, 2, 3]\n", "x", {"2", "3"}), "x = [2, 3]\n");
  EXPECT_EQ(with_elements("x = [1]\n", "x", {}), "x = []\n");
  EXPECT_EQ(with_elements("x = []\n", "x", {"[1, 2]"}), "x = [[1, 2]]\n");
  EXPECT_EQ(with_elements("x = [1,]\n", "x", {"1", "2"}), "x = [1, 2]\n");
  EXPECT_EQ(with_elements("x = [\n]\n", "x", {"1"}), "x = [\n  1,\n]\n");
  EXPECT_EQ(with_elements("x = [1,\n     2]\n", "x", {"1", "2", "3"}), "x = [1,\n     2,\n     3]\n");
  EXPECT_EQ(with_elements("x = [1, 2]\n", "x", {"2", "1"}), "x = [2, 1]\n") << "another order is written anew";
  EXPECT_EQ(with_elements("a = 1\n", "x", {"1"}), "a = 1\nx = [1]\n");
}

TEST(TomlTextTest, ReadsElementsAsTheyAreWritten) {
  const TomlText toml("x = [\"a,]\", '#', [1, 2], {b = 1}]\n");
  EXPECT_EQ(toml.elements("x"), (Elements{"\"a,]\"", "'#'", "[1, 2]", "{b = 1}"}));
  EXPECT_EQ(toml.elements("y"), Elements{});
}

TEST(TomlTextTest, QuotesWhatNeedsIt) { EXPECT_EQ(toml_string("a\"b\\c\x01"), "\"a\\\"b\\\\c\\u0001\""); }

}  // namespace
}  // namespace ax::menuconfig
