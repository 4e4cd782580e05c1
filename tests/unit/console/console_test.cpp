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

TEST_F(ConsoleMuxTest, ShowsAPromptAtOnce) {
  put(a, "~ # ");
  EXPECT_EQ(device.out, "[a] ~ # ");
}

TEST_F(ConsoleMuxTest, StartsHostLinesInTheFirstColumn) {
  put(a, "unfinished");
  mux.write_host("host\n");
  put(a, "rest\n");
  EXPECT_EQ(device.out, "[a] unfinished\nhost\n[a] rest\n");
}

TEST_F(ConsoleMuxTest, KeepsTwoGuestsApart) {
  put(a, "aa");
  put(b, "bb");
  put(a, "AA\n");
  EXPECT_EQ(device.out, "[a] aa\n[b] bb\n[a] AA\n");
}

TEST_F(ConsoleMuxTest, RepeatsThePrefixAfterACarriageReturn) {
  put(a, "ab\raxvisor: done\n");
  EXPECT_EQ(device.out, "[a] ab\r[a] axvisor: done\n");
}

TEST_F(ConsoleMuxTest, DropsControlCharactersThatCouldForgeALine) {
  put(a, "x\v\f\0y\n");
  EXPECT_EQ(device.out.find('\v'), std::string::npos);
  EXPECT_EQ(device.out.substr(0, 5), "[a] x");
}

TEST_F(ConsoleMuxTest, ClosingAStreamEndsItsLine) {
  put(a, "last words");
  mux.close(a);
  mux.write_host("host\n");
  EXPECT_EQ(device.out, "[a] last words\nhost\n");
}

}  // namespace
}  // namespace hv
