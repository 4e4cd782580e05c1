#include "hypervisor/device/watchdog.hpp"

#include <gtest/gtest.h>

#include "hypervisor/device/sbsa_watchdog.hpp"
#include "hypervisor/device/x86_64/port_watchdog.hpp"

namespace hv {
namespace {

TEST(Watchdog, IsDueOneSpanAfterItWasFed) {
  Watchdog watchdog(1000);
  EXPECT_EQ(watchdog.due(), 1000u) << "it runs from the start";
  watchdog.feed(500);
  EXPECT_EQ(watchdog.due(), 1500u);
  EXPECT_EQ(watchdog.half(), 1000u);
}

TEST(Watchdog, LetsTheGuestShortenItsTimeAndNeverLengthenIt) {
  Watchdog watchdog(1000);
  watchdog.set_span(100, 50);
  EXPECT_EQ(watchdog.due(), 150u);
  watchdog.set_span(5000, 60);
  EXPECT_EQ(watchdog.due(), 1060u);
}

TEST(Watchdog, IsNeverDueWithoutALimit) {
  Watchdog watchdog(0);
  watchdog.feed(5);
  watchdog.set_span(1, 6);
  EXPECT_FALSE(watchdog.present());
  EXPECT_EQ(watchdog.due(), Watchdog::kNever);
}

struct SbsaWatchdog : ::testing::Test {
  static constexpr u64 kStatus = sbsa_watchdog::kControlFrame, kOffset = kStatus + 8, kCompare = kStatus + 0x10;
  Watchdog watchdog{1000};
  u64 read(u64 offset, u64 now, u32 size = 4) { return sbsa_watchdog::read(watchdog, {offset, size, 0}, now); }
  void write(u64 offset, u64 value, u64 now) { sbsa_watchdog::write(watchdog, {offset, 4, 0}, value, now); }
};

TEST_F(SbsaWatchdog, CountsTwoHalves) {
  EXPECT_EQ(read(kOffset, 0), 500u);
  EXPECT_EQ(read(kStatus, 499), 1u);
  EXPECT_EQ(read(kCompare, 499), 500u);
  EXPECT_EQ(read(kStatus, 500), 3u) << "the first stage is over";
  EXPECT_EQ(read(kCompare, 500, 8), 1000u);
}

TEST_F(SbsaWatchdog, IsFedByTheRefreshFrame) {
  write(0, 0, 800);
  EXPECT_EQ(watchdog.due(), 1800u);
  EXPECT_EQ(read(kStatus, 900), 1u);
}

TEST_F(SbsaWatchdog, CannotBeSwitchedOff) {
  write(kStatus, 0, 100);
  EXPECT_EQ(read(kStatus, 100), 1u);
  EXPECT_EQ(watchdog.due(), 1100u) << "but the attempt was a sign of life";
}

TEST_F(SbsaWatchdog, TakesAnOffset) {
  write(kOffset, 100, 10);
  EXPECT_EQ(watchdog.due(), 210u);
  write(kOffset, 0xffff'ffff, 20);
  EXPECT_EQ(watchdog.due(), 1020u);
}

TEST(PortWatchdog, CountsMilliseconds) {
  constexpr u64 kTicks = 10;  // per millisecond
  Watchdog watchdog(1000);
  EXPECT_EQ(PortWatchdog::read(watchdog, PortWatchdog::kPeriod, 0, kTicks), 100u);
  EXPECT_EQ(PortWatchdog::read(watchdog, PortWatchdog::kCountdown, 400, kTicks), 60u);
  EXPECT_EQ(PortWatchdog::read(watchdog, PortWatchdog::kCountdown, 2000, kTicks), 0u);
  EXPECT_EQ(PortWatchdog::read(watchdog, PortWatchdog::kControl, 0, kTicks), 1u);
  PortWatchdog::write(watchdog, PortWatchdog::kControl, 0, 10, kTicks);
  EXPECT_EQ(watchdog.due(), 1000u) << "it cannot be stopped";
  PortWatchdog::write(watchdog, PortWatchdog::kCountdown, 0, 500, kTicks);
  EXPECT_EQ(watchdog.due(), 1500u);
  PortWatchdog::write(watchdog, PortWatchdog::kPeriod, 20, 500, kTicks);
  EXPECT_EQ(watchdog.due(), 700u);
}

}  // namespace
}  // namespace hv
