#include "kernel/drivers/cmos_clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include <arch/port.hpp>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

constexpr u64 kIndex = arch::fake::kPorts + 0x70, kData = arch::fake::kPorts + 0x71;

class CmosClock : public ::testing::Test {
 protected:
  CmosClock() {
    bus.on_read[kData] = [this] { return registers[index()]; };
  }
  /// A date and time as the registers hold them.
  void set(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second) {
    registers[0] = second, registers[2] = minute, registers[4] = hour, registers[7] = day, registers[8] = month, registers[9] = year;
  }
  u64 index() { return bus.values[kIndex]; }
  test::FakeBus bus;
  std::array<u64, 128> registers{};
};

TEST_F(CmosClock, ReadsBinaryAndDecimalCodedTime) {
  registers[0x0b] = 2 | 4;
  set(26, 11, 21, 6, 5, 4);
  EXPECT_EQ(time_of_day(), 1795241104u);
  registers[0x0b] = 2;
  set(0x26, 0x11, 0x21, 0x06, 0x05, 0x04);
  EXPECT_EQ(time_of_day(), 1795241104u);
}

TEST_F(CmosClock, KnowsTheAfternoonOfTwelveHours) {
  registers[0x0b] = 4;
  set(0, 1, 1, 12, 0, 0);
  EXPECT_EQ(time_of_day(), 946684800u) << "midnight";
  set(0, 1, 1, 0x80 | 1, 0, 0);
  EXPECT_EQ(time_of_day(), 946684800u + 13 * 3600);
}

TEST_F(CmosClock, CountsLeapDays) {
  registers[0x0b] = 2 | 4;
  set(24, 2, 29, 0, 0, 0);
  const u64 leap_day = time_of_day();
  set(24, 3, 1, 0, 0, 0);
  EXPECT_EQ(time_of_day() - leap_day, 86400u);
}

TEST_F(CmosClock, AClockThatIsNotThereHasNoTime) {
  registers.fill(0xff);
  EXPECT_EQ(time_of_day(), 0u);
}

TEST_F(CmosClock, AClockThatNeverStandsStillHasNoTime) {
  registers[0x0b] = 2 | 4;
  set(24, 1, 1, 0, 0, 0);
  bus.on_read[kData] = [this] {
    registers[0] = (registers[0] + 1) % 60;
    return registers[index()];
  };
  EXPECT_EQ(time_of_day(), 0u);
}

}  // namespace
}  // namespace ax::drivers
