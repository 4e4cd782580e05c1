#include "hypervisor/device/x86_64/vacpi_pm.hpp"

#include <gtest/gtest.h>

#include "tests/unit/device/x86_64/recording_host.hpp"
#include "tests/unit/device/x86_64/recording_line.hpp"

namespace hv {
namespace {

constexpr u64 kTscHz = VAcpiPm::kHz;

class VAcpiPmTest : public testing::Test {
 protected:
  u32 read(unsigned offset, u32 size) { return pm.read(offset, size, now); }
  void write(unsigned offset, u32 size, u32 value) { pm.write(offset, size, value, now); }
  u64 now = 0;
  RecordingHost host;
  RecordingLine sci;
  VAcpiPm pm{kTscHz, host, sci};
};

TEST_F(VAcpiPmTest, TimerHas24Bits) {
  now = 0x123'4567;
  EXPECT_EQ(read(8, 4), 0x23'4567u);
  EXPECT_EQ(read(9, 1), 0x45u);
  EXPECT_EQ(read(10, 2), 0x23u);
}

TEST_F(VAcpiPmTest, SleepType5PowersOff) {
  write(4, 2, 5u << 10);
  EXPECT_EQ(host.take_events(), "");
  EXPECT_EQ(read(4, 2), 5u << 10 | 1) << "SCI_EN is one";
  write(4, 2, 3u << 10 | 1u << 13);
  EXPECT_EQ(host.take_events(), "") << "no other sleep state";
  write(4, 2, 5u << 10 | 1u << 13);
  EXPECT_EQ(host.take_events(), "off ");
  EXPECT_EQ(read(4, 2), 5u << 10 | 1) << "SLP_EN reads as zero";
}

TEST_F(VAcpiPmTest, ByteWritesReachTheUpperHalf) {
  write(5, 1, (5u << 10 | 1u << 13) >> 8);
  EXPECT_EQ(host.take_events(), "off ");
}

TEST_F(VAcpiPmTest, PowerButton) {
  pm.press_power_button();
  EXPECT_FALSE(sci.asserted);
  EXPECT_EQ(read(0, 2), 0x100u);
  write(2, 2, 0x100);
  EXPECT_TRUE(sci.asserted);
  write(0, 2, 0x100);
  EXPECT_FALSE(sci.asserted);
  EXPECT_EQ(read(0, 4), 0x100'0000u);
}

TEST_F(VAcpiPmTest, TimerCarryInterrupts) {
  EXPECT_EQ(pm.deadline(), kNoDeadline);
  write(2, 2, 0xffff);
  EXPECT_EQ(read(2, 2), 0x521u);
  EXPECT_EQ(pm.deadline(), u64{1} << 23);
  now = pm.deadline();
  pm.run_timer(now);
  EXPECT_TRUE(sci.asserted);
  EXPECT_EQ(pm.deadline(), kNoDeadline);
  write(0, 2, 1);
  EXPECT_FALSE(sci.asserted);
  EXPECT_EQ(pm.deadline(), u64{2} << 23);
}

}  // namespace
}  // namespace hv
