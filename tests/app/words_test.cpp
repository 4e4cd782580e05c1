#include "tools/app/words.hpp"

#include "tests/app/support.hpp"

namespace ax::app::testing {
namespace {

Words split(std::string_view text, std::string output = "-DKNOWN") {
  const auto words = split_words(text, pkg_config_with(std::move(output)));
  EXPECT_TRUE(words) << words.error().text;
  return words.value_or(Words());
}

std::string complaint(std::string_view text) {
  const auto words = split_words(text, pkg_config_with(""));
  return words ? "none" : words.error().text;
}

TEST(WordsTest, AreSeparatedByBlanks) {
  EXPECT_EQ(split("  -O2\t-g\n-Wall "), (Words{"-O2", "-g", "-Wall"}));
  EXPECT_EQ(split(""), Words());
}

TEST(WordsTest, AreQuotedAsAShellQuotes) {
  EXPECT_EQ(split("-DREDIS_STATIC='' x"), (Words{"-DREDIS_STATIC=", "x"}));
  EXPECT_EQ(split("-DH=\\\"hdr.h\\\""), (Words{"-DH=\"hdr.h\""}));
  EXPECT_EQ(split("'-DA=b c' \"-DD=\\\"e\\\" 'f'\""), (Words{"-DA=b c", "-DD=\"e\" 'f'"}));
  EXPECT_EQ(split("'' \"\""), (Words{"", ""}));
  EXPECT_EQ(split("a\\ b \"\\n\" '\\'"), (Words{"a b", "\\n", "\\"}));
  EXPECT_EQ(split("-Wl,-rpath,'$ORIGIN' \"a$\" a#b"), (Words{"-Wl,-rpath,$ORIGIN", "a$", "a#b"}));
}

/// The referee: what a real shell makes of the same text.
TEST(WordsTest, AreThoseOfARealShell) {
  for (const char* text : {"-O2 -g", "-DA='x y' -DB=\"q \\\" w\" -DC=a\\ b", "'a'\"b\"c 'd\"e' \"f'g\"",
                           "a\\\\b 'c\\d' \"e\\f\\\\g\"", "x '' y"}) {
    const Finished shell = run(std::string("printf '<%s>' ") + text);
    std::string ours;
    for (const std::string& word : split(text)) ours += "<" + word + ">";
    EXPECT_EQ(ours, shell.output) << text;
    EXPECT_EQ(run("printf '<%s>' " + join_words(split(text))).output, shell.output) << text;
  }
}

TEST(WordsTest, TakePkgConfigsOutput) {
  EXPECT_EQ(split("-g `pkg-config --cflags known` -O2", "-I/a -DB \n"), (Words{"-g", "-I/a", "-DB", "-O2"}));
  EXPECT_EQ(split("-DX=$(pkg-config --cflags known)y", "1 2"), (Words{"-DX=1", "2y"}));
  EXPECT_EQ(split("\"-DX=`pkg-config --cflags known`\"", "1 2"), (Words{"-DX=1 2"}));
}

TEST(WordsTest, RunNothingElse) {
  EXPECT_EQ(complaint("`rm -rf x`"), "only pkg-config may be run, not 'rm'");
  EXPECT_EQ(complaint("$(date)"), "only pkg-config may be run, not 'date'");
  EXPECT_EQ(complaint("`pkg-config --libs unknown`"), "no package unknown");
}

TEST(WordsTest, AreNoPatternsAndHaveNoHome) {
  EXPECT_EQ(complaint("-O2 lib/*.a"), "'lib/*.a' is a pattern for a shell, and none is used");
  EXPECT_EQ(complaint("~/lib/a.o"), "'~' is the home folder for a shell, and none is used");
  EXPECT_EQ(split("'*.a' \"[x]\" \\? a~ -Wl,--undefined=a* -DA=b[1]"),
            (Words{"*.a", "[x]", "?", "a~", "-Wl,--undefined=a*", "-DA=b[1]"}));
}

TEST(WordsTest, SayWhichOfProgramAndLibraryIsMissing) {
  const PkgConfig absent = [](const Words&) {
    return std::unexpected(std::string("cannot run pkg-config: No such file or directory"));
  };
  EXPECT_EQ(split_words("`pkg-config --libs known`", absent).error().fix, "install the package pkg-config");
  EXPECT_EQ(split_words("`pkg-config --libs unknown`", pkg_config_with("")).error().fix,
            "install the library's development package, or correct its name");
}

TEST(WordsTest, RefuseWhatOnlyAShellCouldDo) {
  EXPECT_EQ(complaint("-L$HOME/lib"), "variables are not expanded here");
  EXPECT_EQ(complaint("\"${X}\""), "variables are not expanded here");
  EXPECT_EQ(complaint("a; b"), "';' has a meaning for a shell, and none is used");
  EXPECT_EQ(complaint("a > b"), "'>' has a meaning for a shell, and none is used");
  EXPECT_EQ(complaint("-O2 # fast"), "'#' has a meaning for a shell, and none is used");
  EXPECT_EQ(complaint("'a"), "a ' is not closed");
  EXPECT_EQ(complaint("\"a"), "a \" is not closed");
  EXPECT_EQ(complaint("`pkg-config"), "the command's closing ` is missing");
  EXPECT_EQ(complaint("a\\"), "a \\ at the end quotes nothing");
}

}  // namespace
}  // namespace ax::app::testing
