#include "hypervisor/device/x86_64/device_clock.hpp"

#include <gtest/gtest.h>

#include <random>

namespace hv {
namespace {

TEST(DeviceClockTest, CountsWholeTicks) {
  constexpr DeviceClock clock(1'000'000'000, 1'000);
  EXPECT_EQ(clock.ticks(999'999), 0u);
  EXPECT_EQ(clock.ticks(1'000'000), 1u);
  EXPECT_EQ(clock.tsc(3), 3'000'000u);
}

TEST(DeviceClockTest, DeadlineIsTheFirstTimeThatShowsTheTick) {
  std::mt19937_64 random(7);
  for (const u64 tsc_hz :
       {u64{1'000'000}, u64{4'000'000}, u64{1'000'000'000}, u64{3'141'592'653}, u64{999'999'999'989}}) {
    for (const u64 device_hz : {u64{32'768}, u64{1'193'182}, u64{3'579'545}}) {
      const DeviceClock clock(tsc_hz, device_hz);
      for (unsigned i = 0; i < 1000; ++i) {
        const u64 tick = 1 + random() % (device_hz * 86'400 * 200);
        const u64 at = clock.tsc(tick);
        ASSERT_GE(clock.ticks(at), tick);
        ASSERT_LT(clock.ticks(at - 1), tick);
      }
    }
  }
}

}  // namespace
}  // namespace hv
