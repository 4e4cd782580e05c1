#include "hypervisor/device/x86_64/v8254.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "tests/unit/device/x86_64/recording_line.hpp"

namespace hv {
namespace {

// A TSC at the frequency of the 8254: one tick of time is one count.
constexpr u64 kTscHz = V8254::kHz;

class V8254Test : public testing::Test {
 protected:
  void control(u8 value) { pit.write(0x43, value, now); }
  void load(unsigned channel, u16 count) {
    pit.write(static_cast<u16>(0x40 + channel), static_cast<u8>(count), now);
    pit.write(static_cast<u16>(0x40 + channel), static_cast<u8>(count >> 8), now);
  }
  unsigned byte(unsigned channel) { return pit.read(static_cast<u16>(0x40 + channel), now); }
  unsigned word(unsigned channel) {
    const unsigned low = byte(channel);
    return low | byte(channel) << 8;
  }
  unsigned latched(unsigned channel) {
    control(static_cast<u8>(channel << 6));
    return word(channel);
  }
  bool output(unsigned channel) {
    control(static_cast<u8>(0xe0 | 2u << channel));
    return (byte(channel) & 0x80) != 0;
  }
  void advance(u64 ticks) {
    now += ticks;
    pit.run_timer(now);
  }
  u64 now = 1000;
  RecordingLine irq0;
  V8254 pit{kTscHz, irq0};
};

TEST_F(V8254Test, Mode0InterruptsOnce) {
  control(0x30);
  load(0, 1000);
  EXPECT_EQ(pit.deadline(), 2000u);
  advance(400);
  EXPECT_EQ(latched(0), 600u);
  EXPECT_FALSE(output(0));
  advance(599);
  EXPECT_EQ(irq0.take_rises(), 0u);
  advance(1);
  EXPECT_EQ(irq0.take_rises(), 1u);
  EXPECT_TRUE(output(0));
  EXPECT_EQ(pit.deadline(), kNoDeadline);
  advance(10);
  EXPECT_EQ(latched(0), 65'526u) << "goes on counting";
  load(0, 100);
  EXPECT_FALSE(irq0.asserted) << "a new count makes the output low";
}

TEST_F(V8254Test, Mode2InterruptsPeriodically) {
  control(0x34);
  irq0.take_rises();
  load(0, 4772);
  for (unsigned i = 1; i <= 5; ++i) {
    EXPECT_EQ(pit.deadline(), 1000u + i * 4772);
    advance(4772);
    EXPECT_EQ(irq0.take_rises(), 1u);
  }
  advance(71);
  EXPECT_EQ(latched(0), 4701u);
  advance(4700);
  EXPECT_FALSE(output(0));
  EXPECT_EQ(latched(0), 1u);
}

TEST_F(V8254Test, MissedPeriodsAreOneInterruptAndKeepThePhase) {
  control(0x34);
  load(0, 1000);
  irq0.take_rises();
  advance(5300);
  EXPECT_EQ(irq0.take_rises(), 1u);
  EXPECT_EQ(pit.deadline(), 1000u + 6000);
}

TEST_F(V8254Test, TinyPeriodIsSlowedDown) {
  for (const u16 count : {1, 2, 7, 100}) {
    control(0x34);
    load(0, count);
    advance(count);
    const u64 step = pit.deadline() - now;
    EXPECT_GE(step * 1'000'000 / V8254::kHz + 1, kMinimumTimerPeriodMicroseconds) << count;
    EXPECT_EQ(step % count, 0u) << "still in phase";
  }
}

TEST_F(V8254Test, Mode3CountsByTwosWithASquareOutput) {
  control(0x36);
  load(0, 1000);
  EXPECT_EQ(latched(0), 1000u);
  advance(100);
  EXPECT_EQ(latched(0), 800u);
  EXPECT_TRUE(output(0));
  advance(400);
  EXPECT_FALSE(output(0));
  EXPECT_EQ(latched(0), 1000u);
  irq0.take_rises();
  advance(500);
  EXPECT_EQ(irq0.take_rises(), 1u);
}

TEST_F(V8254Test, Mode4StrobesAfterTheCount) {
  control(0x38);
  load(0, 1000);
  irq0.take_rises();
  advance(1000);
  EXPECT_FALSE(output(0));
  EXPECT_EQ(irq0.take_rises(), 0u);
  advance(1);
  EXPECT_TRUE(output(0));
  EXPECT_EQ(irq0.take_rises(), 1u);
  EXPECT_EQ(pit.deadline(), kNoDeadline);
}

TEST_F(V8254Test, GateTriggersModes1And5) {
  constexpr std::pair<u8, bool> modes[] = {{0xb2, false}, {0xba, true}};
  for (const auto& [mode, high_while_counting] : modes) {
    pit.write_port61(0, now);
    control(mode);
    load(2, 500);
    advance(1000);
    EXPECT_TRUE(output(2)) << "not triggered";
    pit.write_port61(1, now);
    advance(100);
    EXPECT_EQ(output(2), high_while_counting);
    EXPECT_EQ(latched(2), 400u);
    pit.write_port61(0, now);
    advance(400);
    EXPECT_EQ(output(2), !high_while_counting) << "the fall of the gate changes nothing";
  }
}

TEST_F(V8254Test, GateHoldsMode0) {
  pit.write_port61(1, now);
  control(0xb0);
  load(2, 500);
  advance(100);
  pit.write_port61(0, now);
  advance(1000);
  EXPECT_EQ(latched(2), 400u);
  pit.write_port61(1, now);
  advance(399);
  EXPECT_FALSE(output(2));
  advance(1);
  EXPECT_TRUE(output(2));
}

TEST_F(V8254Test, GateRestartsMode2) {
  pit.write_port61(1, now);
  control(0xb4);
  load(2, 500);
  advance(100);
  pit.write_port61(0, now);
  EXPECT_TRUE(output(2));
  advance(50);
  pit.write_port61(1, now);
  EXPECT_EQ(latched(2), 500u);
}

TEST_F(V8254Test, Port61NeedsNoLockWhileChannel2IsNotUsed) {
  pit.write_port61(3, now);
  const auto refresh = [&] { return pit.read_quiet_port61(now).value() & 0x10; };
  EXPECT_EQ(pit.read_quiet_port61(now).value() & ~0x10, 3);
  const int before = refresh();
  advance(18);
  EXPECT_NE(refresh(), before) << "its refresh bit goes on";
  EXPECT_EQ(pit.read_port61(now), pit.read_quiet_port61(now));
  control(0xb0);
  load(2, 500);
  EXPECT_FALSE(pit.read_quiet_port61(now)) << "its output is the channel's";
  pit.power_on();
  EXPECT_TRUE(pit.read_quiet_port61(now));
}

TEST_F(V8254Test, Port61ShowsTheOutputOfChannel2AsTscCalibrationExpects) {
  pit.write_port61(static_cast<u8>((pit.read_port61(now) & ~2) | 1), now);
  control(0xb0);
  load(2, 11'931);
  unsigned polls = 0;
  while ((pit.read_port61(now) & 0x20) == 0) {
    advance(10);
    ++polls;
  }
  EXPECT_EQ(polls, 1194u);
  EXPECT_EQ(pit.read_port61(now) & 0x0f, 1);
}

TEST_F(V8254Test, RefreshBitToggles) {
  const u8 first = pit.read_port61(now) & 0x10;
  advance(18);
  EXPECT_NE(pit.read_port61(now) & 0x10, first);
}

TEST_F(V8254Test, LatchHoldsUntilBothBytesAreRead) {
  control(0x34);
  load(0, 0x8000);
  advance(0x10);
  control(0x00);
  advance(0x1000);
  control(0x00);
  EXPECT_EQ(word(0), 0x7ff0u);
  EXPECT_EQ(latched(0), 0x6ff0u);
}

TEST_F(V8254Test, ReadBackLatchesStatusThenCount) {
  control(0x34);
  load(0, 0x1234);
  control(0xb8);
  control(0xce);  // count and status of channels 0 to 2
  EXPECT_EQ(byte(0), 0xb4u);
  EXPECT_EQ(word(0), 0x1234u);
  EXPECT_EQ(byte(2), 0xf8u) << "no count yet";
}

TEST_F(V8254Test, ByteAccessModes) {
  control(0x94);  // low byte only
  pit.write_port61(1, now);
  pit.write(0x42, 100, now);
  advance(1);
  EXPECT_EQ(byte(2), 99u);
  EXPECT_EQ(byte(2), 99u);
  control(0xa4);  // high byte only
  pit.write(0x42, 2, now);
  EXPECT_EQ(byte(2), 2u);
}

TEST_F(V8254Test, BcdCounts) {
  control(0x31);
  load(0, 0x0100);
  EXPECT_EQ(pit.deadline(), now + 100);
  advance(1);
  EXPECT_EQ(latched(0), 0x0099u);
  control(0x31);
  load(0, 0);
  EXPECT_EQ(pit.deadline(), now + 10'000);
}

TEST_F(V8254Test, ZeroIs65536) {
  control(0x34);
  load(0, 0);
  EXPECT_EQ(pit.deadline(), now + 65'536);
}

TEST_F(V8254Test, ControlWordStopsChannel0) {
  control(0x34);
  load(0, 1000);
  control(0x30);
  EXPECT_EQ(pit.deadline(), kNoDeadline);
  EXPECT_FALSE(irq0.asserted);
}

}  // namespace
}  // namespace hv
