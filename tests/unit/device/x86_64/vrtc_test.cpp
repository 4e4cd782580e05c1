#include "hypervisor/device/x86_64/vrtc.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <vector>

#include "tests/unit/device/x86_64/recording_line.hpp"

namespace hv {
namespace {

constexpr u64 kTscHz = 32'768'000;
constexpr u64 kSecond = kTscHz;
constexpr u64 kStart = 1'709'164'798;  // 2024-02-28 23:59:58 UTC, a Wednesday before a leap day
constexpr u8 kA = 0x0a, kB = 0x0b, kC = 0x0c, kD = 0x0d, kCentury = 0x32;
constexpr u8 kSet = 0x80, kPie = 0x40, kAie = 0x20, kUie = 0x10, kBinary = 0x04, k24 = 0x02;

class VRtcTest : public testing::Test {
 protected:
  u8 read(u8 index) {
    rtc.write(0x70, index, now);
    return rtc.read(0x71, now);
  }
  void write(u8 index, u8 value) {
    rtc.write(0x70, index, now);
    rtc.write(0x71, value, now);
  }
  /// Century, year, month, day, weekday, hour, minute, second as they read.
  std::vector<unsigned> time() {
    std::vector<unsigned> result;
    for (const u8 index : {kCentury, u8{9}, u8{8}, u8{7}, u8{6}, u8{4}, u8{2}, u8{0}}) result.push_back(read(index));
    return result;
  }
  void advance(u64 ticks) {
    now += ticks;
    rtc.run_timer(now);
  }
  u64 now = 0;
  RecordingLine irq8;
  VRtc rtc{kTscHz, kStart, 6_GiB, 3_GiB, irq8};
};
using Values = std::vector<unsigned>;

TEST_F(VRtcTest, TellsTheTimeInBcd) {
  EXPECT_EQ(time(), (Values{0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58}));
  advance(2 * kSecond);
  EXPECT_EQ(time(), (Values{0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00}));
}

TEST_F(VRtcTest, TellsTheTimeInBinaryAnd12Hours) {
  write(kB, kBinary | k24);
  EXPECT_EQ(time(), (Values{20, 24, 2, 28, 4, 23, 59, 58}));
  write(kB, 0);
  EXPECT_EQ(read(4), 0x91) << "11 p.m.";
  advance(2 * kSecond);
  EXPECT_EQ(read(4), 0x12) << "midnight is 12 a.m.";
  advance(u64{12} * 3600 * kSecond);
  EXPECT_EQ(read(4), 0x92);
}

TEST_F(VRtcTest, CalendarAgreesWithTheHost) {
  std::mt19937_64 random(3);
  for (unsigned i = 0; i < 500; ++i) {
    const std::time_t when = static_cast<std::time_t>(random() % (u64{200} * 365 * 86'400));
    RecordingLine line;
    rtc.~VRtc();
    new (&rtc) VRtc(kTscHz, static_cast<u64>(when), 1_GiB, 3_GiB, line);
    write(kB, kBinary | k24);
    std::tm tm{};
    gmtime_r(&when, &tm);
    const auto u = [](int value) { return static_cast<unsigned>(value); };
    const unsigned year = u(tm.tm_year) + 1900;
    EXPECT_EQ(time(), (Values{year / 100, year % 100, u(tm.tm_mon) + 1, u(tm.tm_mday), u(tm.tm_wday) + 1, u(tm.tm_hour),
                              u(tm.tm_min), u(tm.tm_sec)}));
  }
}

TEST_F(VRtcTest, SettingTheTimeUnderSet) {
  write(kB, kSet | k24);
  for (const auto& [index, value] : {std::pair<u8, u8>{9, 0x99}, {8, 0x12}, {7, 0x31}, {4, 0x23}, {2, 0x59}, {0, 0x59}})
    write(index, value);
  write(kCentury, 0x19);
  advance(3 * kSecond);
  EXPECT_EQ(read(0), 0x59) << "no update while SET is on";
  write(kB, k24);
  EXPECT_EQ(time(), (Values{0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59}));
  advance(kSecond);
  EXPECT_EQ(time(), (Values{0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0}));
}

TEST_F(VRtcTest, WritingOneFieldWithoutSet) {
  write(4, 0x05);
  EXPECT_EQ(time(), (Values{0x20, 0x24, 0x02, 0x28, 4, 0x05, 0x59, 0x58}));
}

TEST_F(VRtcTest, UpdateInProgressComesBeforeTheUpdate) {
  EXPECT_EQ(read(kA), 0x26);
  now = kSecond - kSecond / 4096 + 1000;
  EXPECT_EQ(read(kA), 0xa6);
  now = kSecond;
  EXPECT_EQ(read(kA), 0x26);
}

TEST_F(VRtcTest, PeriodicInterrupt) {
  constexpr std::pair<u8, u64> rates[] = {{0x26, 1024}, {0x2f, 2}, {0x23, 8192}, {0x21, 256}, {0x22, 128}};
  write(kB, k24 | kPie);
  for (const auto& [a, hz] : rates) {
    write(kA, a);
    (void)read(kC);
    const u64 first = rtc.deadline();
    now = first;
    rtc.run_timer(now);
    EXPECT_EQ(irq8.take_rises(), 1u) << hz;
    EXPECT_EQ(rtc.deadline(), kNoDeadline) << "waits for register C to be read";
    EXPECT_EQ(read(kC), 0xc0);
    EXPECT_FALSE(irq8.asserted);
    EXPECT_EQ(rtc.deadline(), first + kSecond / hz);
  }
  write(kA, 0x20);
  EXPECT_EQ(rtc.deadline(), kNoDeadline);
}

TEST_F(VRtcTest, UpdateInterrupt) {
  write(kB, k24 | kUie);
  EXPECT_EQ(rtc.deadline(), kSecond);
  advance(kSecond);
  EXPECT_EQ(irq8.take_rises(), 1u);
  EXPECT_EQ(read(kC) & 0x90, 0x90);
  advance(kSecond);
  EXPECT_EQ(irq8.take_rises(), 1u);
}

TEST_F(VRtcTest, AlarmInterrupt) {
  write(5, 0x00);
  write(3, 0x01);
  write(1, 0x05);
  write(kB, k24 | kAie);
  EXPECT_EQ(rtc.deadline(), (2 + 65) * kSecond);
  advance(66 * kSecond);
  EXPECT_EQ(irq8.take_rises(), 0u);
  advance(kSecond);
  EXPECT_EQ(irq8.take_rises(), 1u);
  EXPECT_EQ(read(kC) & 0xa0, 0xa0);
  EXPECT_EQ(rtc.deadline(), (2 + 65 + 86'400) * kSecond);
}

TEST_F(VRtcTest, AlarmWildcardsAndImpossibleAlarms) {
  write(5, 0xc0);
  write(3, 0xff);
  write(1, 0x30);
  write(kB, k24 | kAie);
  EXPECT_EQ(rtc.deadline(), 32 * kSecond);
  write(1, 0x75);
  EXPECT_EQ(rtc.deadline(), kNoDeadline);
}

TEST_F(VRtcTest, FlagsArePolledWithoutInterrupts) {
  (void)read(kC);
  now += kSecond;
  EXPECT_EQ(read(kC) & 0x70, 0x50);
  EXPECT_EQ(read(kC), 0);
  EXPECT_EQ(irq8.rises, 0u);
}

TEST_F(VRtcTest, CmosMemory) {
  write(0x0f, 0x0a);
  EXPECT_EQ(read(0x0f), 0x0a);
  write(0x7f, 0x55);
  EXPECT_EQ(read(0xff), 0x55) << "bit 7 is the NMI mask";
  write(kD, 0);
  EXPECT_EQ(read(kD), 0x80);
  EXPECT_EQ(rtc.read(0x70, now), 0xff);
  EXPECT_EQ(read(0x15) | read(0x16) << 8, 640);
  EXPECT_EQ(read(0x34) | read(0x35) << 8, (3072 - 16) * 16);
  EXPECT_EQ(read(0x5b) | read(0x5c) << 8 | read(0x5d) << 16, 3072 * 16);
  rtc.power_on();
  EXPECT_EQ(read(0x7f), 0x55);
}

}  // namespace
}  // namespace hv
