#include "hypervisor/device/x86_64/kvmclock.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/mm/fake_ram.hpp"

namespace hv {
namespace {

class KvmClock : public ::testing::Test {
 protected:
  KvmClock() { EXPECT_TRUE(memory.add({Gpa(0), 64_KiB}, ram.at(0))); }
  template <class T>
  T at(u64 address) const {
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(ram.at(address).value()), sizeof value);
    return value;
  }

  ax::mm::FakeRam ram{2_MiB, 2_MiB};
  GuestMemory memory;
};

TEST(ClockScale, IsExactForAGigahertz) {
  constexpr ClockScale scale = ClockScale::of(1'000'000'000);
  EXPECT_EQ(scale.nanoseconds(123'456'789), 123'456'789u);
}

TEST(ClockScale, IsPreciseForEveryFrequency) {
  std::mt19937_64 random(5);
  for (u64 hz : {u64{1'000}, u64{1'193'182}, u64{62'500'000}, u64{999'999'999}, u64{2'100'000'123}, u64{2'900'000'000},
                 u64{5'000'000'000}, u64{40'000'000'000}}) {
    const ClockScale scale = ClockScale::of(hz);
    EXPECT_NE(scale.multiplier >> 31, 0u) << hz;
    for (unsigned i = 0; i < 100; ++i) {
      const u64 ticks = random() % (3600 * hz);
      const double exact = static_cast<double>(ticks) * 1e9 / static_cast<double>(hz);
      // Below one gigahertz the shift to the left keeps every bit; above, up to a few ticks are lost.
      EXPECT_NEAR(static_cast<double>(scale.nanoseconds(ticks)), exact, exact * 0x1p-31 + 2) << hz;
    }
  }
}

TEST_F(KvmClock, WritesTheSystemTime) {
  const ClockScale scale = ClockScale::of(2'100'000'000);
  ASSERT_TRUE(write_system_time(memory, Gpa(0x1000), 1000, 5'000'000'000, scale));
  EXPECT_EQ(at<u32>(0x1000), 2u);
  EXPECT_EQ(at<u64>(0x1008), 1000u);
  EXPECT_EQ(at<u64>(0x1010), 5'000'000'000u);
  EXPECT_EQ(at<u32>(0x1018), scale.multiplier);
  EXPECT_EQ(at<std::int8_t>(0x101c), -1);
  EXPECT_EQ(at<u8>(0x101d), 1);
  ASSERT_TRUE(write_system_time(memory, Gpa(0x1000), 2000, 0, scale));
  EXPECT_EQ(at<u32>(0x1000), 4u);
}

TEST_F(KvmClock, WritesTheWallClock) {
  ASSERT_TRUE(write_wall_clock(memory, Gpa(0x2000), 1'700'000'000'123'456'789));
  EXPECT_EQ(at<u32>(0x2000), 2u);
  EXPECT_EQ(at<u32>(0x2004), 1'700'000'000u);
  EXPECT_EQ(at<u32>(0x2008), 123'456'789u);
}

TEST_F(KvmClock, WritesTheStealTime) {
  ASSERT_TRUE(write_steal_time(memory, Gpa(0x3000), 77, true));
  EXPECT_EQ(at<u64>(0x3000), 77u);
  EXPECT_EQ(at<u32>(0x3008), 2u);
  EXPECT_EQ(at<u8>(0x3010), 1);
  EXPECT_EQ(at<u8>(0x3040), 0);
}

TEST_F(KvmClock, ARecordHalfOutsideTheRamIsNotTouched) {
  EXPECT_EQ(write_system_time(memory, Gpa(64_KiB - 8), 1, 1, {}).error(), Error::OutOfRange);
  EXPECT_EQ(at<u64>(64_KiB - 8), 0u);
}

TEST_F(KvmClock, ReadsItsMsrs) {
  EXPECT_TRUE(clock_enabled(0x1021));
  EXPECT_FALSE(clock_enabled(0x1020));
  EXPECT_EQ(clock_record(0x1021), Gpa(0x1020));
}

}  // namespace
}  // namespace hv
