#include "kernel/base/format.hpp"

#include <gtest/gtest.h>

namespace ax {
namespace {

template <class... Args>
std::string formatted(FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  char buffer[128];
  BufferSink sink(buffer, sizeof buffer);
  print(sink, format, args...);
  return std::string(sink.view());
}

TEST(Format, PrintsNumbersInBothBases) {
  EXPECT_EQ(formatted("{} {:x} {:#x}", 42u, 255u, u64{1} << 63), "42 ff 0x8000000000000000");
  EXPECT_EQ(formatted("{}", std::numeric_limits<i64>::min()), "-9223372036854775808");
  EXPECT_EQ(formatted("{}", u8{7}), "7");
}

TEST(Format, PadsTextLeftAndNumbersRight) {
  EXPECT_EQ(formatted("[{:6}][{:6}]", "ab", 12), "[ab    ][    12]");
  EXPECT_EQ(formatted("{:04x}|{:#010x}", 0xabu, 0xabu), "00ab|0x000000ab");
}

TEST(Format, KeepsLiteralTextAndDoubledBraces) { EXPECT_EQ(formatted("a{{{}}}b", 1), "a{1}b"); }

TEST(Format, PrintsAddressesErrorsAndBooleans) {
  EXPECT_EQ(formatted("{} {} {}", Gpa(0x1000), Error::NotFound, true), "0x1000 not found true");
}

TEST(BufferSink, ReportsTruncation) {
  char buffer[4];
  BufferSink sink(buffer, sizeof buffer);
  print(sink, "{}", 12345);
  EXPECT_EQ(sink.view(), "1234");
  EXPECT_TRUE(sink.truncated());
}

}  // namespace
}  // namespace ax
