#include "hypervisor/console/console.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

struct StringSink final : Sink {
  void write(std::string_view text) override { out += text; }
  std::string out;
};

struct ConsoleMuxTest : testing::Test {
  StringSink device;
  ConsoleMux mux{device};
  ConsoleMux::Stream a{"a"}, b{"b"};
  void put(ConsoleMux::Stream& stream, std::string_view text) {
    for (char c : text) mux.put_guest(stream, c);
  }
};

TEST_F(ConsoleMuxTest, PrefixesEveryGuestLine) {
  put(a, "one\r\ntwo\n");
  EXPECT_EQ(device.out, "[a] one\n[a] two\n");
}

TEST_F(ConsoleMuxTest, ShowsAPromptWhenItIsFlushed) {
  put(a, "~ # ");
  EXPECT_EQ(device.out, "");
  mux.flush(a);
  mux.flush(a);
  EXPECT_EQ(device.out, "[a] ~ # ");
  put(a, "ls");
  EXPECT_EQ(device.out, "[a] ~ # ls") << "what is typed behind a prompt is echoed at once";
}

TEST_F(ConsoleMuxTest, ShowsALineThatIsLongerThanItsBuffer) {
  const std::string text(1000, 'x');
  put(a, text + "\n");
  EXPECT_EQ(device.out, "[a] " + text + "\n");
}

TEST_F(ConsoleMuxTest, StartsHostLinesInTheFirstColumn) {
  put(a, "unfinished");
  mux.flush(a);
  mux.write_host("host\n");
  put(a, "rest\n");
  EXPECT_EQ(device.out, "[a] unfinished\nhost\n[a] rest\n");
}

TEST_F(ConsoleMuxTest, KeepsTwoGuestsApart) {
  put(a, "aa");
  put(b, "bb\n");
  put(a, "AA\n");
  EXPECT_EQ(device.out, "[b] bb\n[a] aaAA\n") << "lines are not torn";
  device.out.clear();
  put(a, "prompt");
  mux.flush(a);
  put(b, "bb\n");
  EXPECT_EQ(device.out, "[a] prompt\n[b] bb\n");
}

TEST_F(ConsoleMuxTest, RepeatsThePrefixAfterACarriageReturn) {
  put(a, "ab\raxvisor: done\n");
  EXPECT_EQ(device.out, "[a] ab\r[a] axvisor: done\n");
}

TEST_F(ConsoleMuxTest, DropsControlCharactersThatCouldForgeALine) {
  put(a, std::string_view("x\v\f\0y\n", 6));
  EXPECT_EQ(device.out, "[a] xy\n");
}

TEST_F(ConsoleMuxTest, ClosingAStreamEndsItsLine) {
  put(a, "last words");
  mux.close(a);
  mux.write_host("host\n");
  EXPECT_EQ(device.out, "[a] last words\nhost\n");
}

TEST_F(ConsoleMuxTest, EchoesWhatIsTypedUntilSomethingElseIsWritten) {
  mux.show_input("$ v", "v");
  mux.show_input("$ vm", "m");
  EXPECT_EQ(device.out, "$ vm");
  put(a, "guest\n");
  mux.show_input("$ vm l", "l");
  EXPECT_EQ(device.out, "$ vm\n[a] guest\n$ vm l") << "the whole line again";
  mux.write_host("");
  mux.write_host("answer\n");
  EXPECT_EQ(device.out, "$ vm\n[a] guest\n$ vm l\nanswer\n");
}

TEST_F(ConsoleMuxTest, RemembersWhatAGuestHasPrinted) {
  OutputHistory history;
  ConsoleMux::Stream stream("c", &history);
  put(stream, "one\r\ntwo\v\r\n~ # ");
  u64 at = history.start_of_last(10);
  char buffer[10];
  EXPECT_EQ(history.next_line(at, buffer), "one");
  EXPECT_EQ(history.next_line(at, buffer), "two");
  EXPECT_EQ(history.next_line(at, buffer), "~ # ");
}

}  // namespace
}  // namespace hv
