// The log before it has a console: a program of its own, since that state comes once.
#include <gtest/gtest.h>

#include "kernel/log/log.hpp"

namespace ax::log {
namespace {

class StringSink final : public Sink {
 public:
  void write(std::string_view t) override { text += t; }
  std::string text;
};

TEST(EarlyLog, PrintsWhatWasKeptWhenAConsoleComesAndOnlyOnce) {
  info("before");
  static StringSink first;
  set_console(first);
  EXPECT_EQ(first.text, "[    0.000000 0 INFO] before\n");
  static StringSink second;
  set_console(second);
  EXPECT_EQ(second.text, "");
  info("after");
  EXPECT_EQ(second.text, "[    0.000000 0 INFO] after\n");
  EXPECT_EQ(first.text, "[    0.000000 0 INFO] before\n");
}

}  // namespace
}  // namespace ax::log
