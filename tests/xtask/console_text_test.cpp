#include "tools/xtask/run/console_text.hpp"

#include <gtest/gtest.h>

namespace ax::xtask {
namespace {

std::string stripped(std::string_view bytes) {
  ConsoleText text;
  for (const char& c : bytes) {
    text.append({&c, 1});
  }
  ConsoleText whole;
  whole.append(bytes);
  EXPECT_EQ(text.kept(), whole.kept()) << "depends on how the stream is cut";
  return std::string(whole.kept());
}

TEST(ConsoleText, DropsEscapeSequences) {
  EXPECT_EQ(stripped("\x1b[1;31mred\x1b[0m and \x1b[6n~ # "), "red and ~ # ");
  EXPECT_EQ(stripped("\x1b]0;title\aafter \x1b]2;other\x1b\\end"), "after end");
  EXPECT_EQ(stripped("\x1b""7saved"), "saved");
}

TEST(ConsoleText, MakesPlainLineEnds) {
  EXPECT_EQ(stripped("a\r\nb\r\r\nc\n"), "a\nb\nc\n");
  EXPECT_EQ(stripped("10%\r20%\n"), "10%\r20%\n");
  EXPECT_EQ(stripped("\ra\n\rb\n"), "a\nb\n");
}

TEST(ConsoleText, KeepsEscapesWhenAsked) {
  ConsoleText text(ConsoleText::Escapes::Keep);
  text.append("\x1b[31mred\r\n");
  EXPECT_EQ(text.kept(), "\x1b[31mred\n");
}

TEST(ConsoleText, FindsLines) {
  ConsoleText text;
  text.append("one\ntwo\n\nthree");
  EXPECT_EQ(text.line_start(text.end()), 9u);
  EXPECT_EQ(text.line_start(5), 4u);
  EXPECT_EQ(text.last_lines(2), "two\nthree\n");
  EXPECT_EQ(text.last_lines(9), "one\ntwo\nthree\n");
}

TEST(ConsoleText, ForgetsOldTextButKeepsPositions) {
  ConsoleText text;
  const std::string line(1023, 'x');
  for (int i = 0; i < 1024; ++i) {
    text.append(line + "\n");
  }
  text.append("last");
  EXPECT_EQ(text.end(), 1024u * 1024 + 4);
  EXPECT_LE(text.kept().size(), 2 * ConsoleText::kKept);
  EXPECT_EQ(text.from(1024u * 1024), "last");
  EXPECT_EQ(text.from(0).size(), text.kept().size());
}

}  // namespace
}  // namespace ax::xtask
