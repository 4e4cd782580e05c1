#include "hypervisor/device/x86_64/vio_apic.hpp"

#include <gtest/gtest.h>

#include "tests/unit/device/x86_64/recording_host.hpp"

namespace hv {
namespace {

constexpr u32 kLevel = 1u << 15, kMasked = 1u << 16, kLogical = 1u << 11, kRemoteIrr = 1u << 14, kLowest = 1u << 8;
constexpr u32 kEoi = 0xb0, kSvr = 0xf0, kLdr = 0xd0;

class VIoApicTest : public testing::Test {
 protected:
  VIoApicTest() {
    for (unsigned i = 0; i < bus.size(); ++i) bus[i].mmio_write(kSvr, 4, 0x1ff);
  }
  u32 read(u8 index) {
    io.mmio_write(0, index);
    return io.mmio_read(0x10);
  }
  void write(u8 index, u32 value) {
    io.mmio_write(0, index);
    io.mmio_write(0x10, value);
  }
  void redirect(unsigned pin, u32 low, u32 destination = 0) {
    write(static_cast<u8>(0x11 + pin * 2), destination << 24);
    write(static_cast<u8>(0x10 + pin * 2), low);
  }
  u32 low(unsigned pin) { return read(static_cast<u8>(0x10 + pin * 2)); }
  void pulse(unsigned pin) {
    io.set_line(pin, true);
    io.set_line(pin, false);
  }
  /// Takes and ends what is pending; 0 for nothing.
  unsigned take(unsigned cpu) {
    const unsigned vector = bus[cpu].pending();
    bus[cpu].acknowledge();
    bus[cpu].mmio_write(kEoi, 4, 0);
    return vector;
  }
  RecordingHost host;
  LocalApicBus bus{host, io, 3, 1'000'000'000};
  VIoApic io{host, bus};
};

TEST_F(VIoApicTest, Registers) {
  EXPECT_EQ(read(1), 0x0017'0011u);
  write(0, ~0u);
  EXPECT_EQ(read(0), 0x0f00'0000u);
  EXPECT_EQ(read(2), 0x0f00'0000u);
  EXPECT_EQ(low(5), kMasked);
  write(0x1a, ~0u);
  EXPECT_EQ(low(5), 0x1'afffu) << "delivery status and remote IRR are read-only";
  write(0x1b, ~0u);
  EXPECT_EQ(read(0x1b), 0xff00'0000u);
  EXPECT_EQ(read(0x40), 0u);
  EXPECT_EQ(io.mmio_read(0), 0x40u);
}

TEST_F(VIoApicTest, EdgeInterruptsOncePerRise) {
  redirect(4, 0x34, 1);
  io.set_line(4, true);
  EXPECT_EQ(take(1), 0x34u);
  io.set_line(4, true);
  EXPECT_EQ(take(1), 0u);
  io.set_line(4, false);
  io.set_line(4, true);
  EXPECT_EQ(take(1), 0x34u);
  EXPECT_EQ(host.take_events(), "") << "no EOI for an edge";
}

TEST_F(VIoApicTest, EdgeOnAMaskedPinIsLost) {
  redirect(4, 0x34 | kMasked);
  pulse(4);
  io.set_line(4, true);
  redirect(4, 0x34);
  EXPECT_EQ(take(0), 0u);
}

TEST_F(VIoApicTest, LevelInterruptsAgainAfterItsEnd) {
  redirect(9, 0x39 | kLevel);
  io.set_line(9, true);
  EXPECT_EQ(low(9), 0x39 | kLevel | kRemoteIrr);
  EXPECT_EQ(take(0), 0x39u);
  EXPECT_EQ(host.take_events(), "eoi9 ");
  EXPECT_EQ(bus[0].pending(), 0x39) << "still asserted";
  io.set_line(9, false);
  EXPECT_EQ(take(0), 0x39u) << "what a local APIC has accepted is not taken back";
  EXPECT_EQ(take(0), 0u);
  EXPECT_EQ(low(9), 0x39 | kLevel);
}

TEST_F(VIoApicTest, LevelOnAMaskedPinWaits) {
  redirect(9, 0x39 | kLevel | kMasked);
  io.set_line(9, true);
  EXPECT_EQ(take(0), 0u);
  redirect(9, 0x39 | kLevel);
  EXPECT_EQ(bus[0].pending(), 0x39);
}

TEST_F(VIoApicTest, RemoteIrrHoldsBackASecondMessage) {
  redirect(9, 0x39 | kLevel);
  io.set_line(9, true);
  EXPECT_EQ(bus[0].pending(), 0x39);
  bus[0].acknowledge();
  io.set_line(9, false);
  io.set_line(9, true);
  EXPECT_EQ(bus[0].pending(), 0);
  bus[0].mmio_write(kEoi, 4, 0);
  EXPECT_EQ(bus[0].pending(), 0x39);
}

TEST_F(VIoApicTest, MakingAPinEdgeTriggeredClearsRemoteIrr) {
  redirect(9, 0x39 | kLevel);
  io.set_line(9, true);
  redirect(9, 0x39 | kMasked);
  EXPECT_EQ(low(9), 0x39 | kMasked);
}

TEST_F(VIoApicTest, WithoutAReceiverThereIsNoRemoteIrr) {
  redirect(9, 0x39 | kLevel, 7);
  io.set_line(9, true);
  EXPECT_EQ(low(9), 0x39 | kLevel);
}

TEST_F(VIoApicTest, Destinations) {
  for (unsigned i = 0; i < 3; ++i) bus[i].mmio_write(kLdr, 4, 1u << (24 + i));
  redirect(4, 0x34 | kLogical, 0b101);
  pulse(4);
  EXPECT_EQ(take(0), 0x34u);
  EXPECT_EQ(take(1), 0u);
  EXPECT_EQ(take(2), 0x34u);
  redirect(4, 0x34, 0xff);
  pulse(4);
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(take(i), 0x34u);
  redirect(4, 0x34 | kLogical | kLowest, 0xff);
  pulse(4);
  EXPECT_EQ(take(0) + take(1) + take(2), 0x34u) << "exactly one";
}

TEST_F(VIoApicTest, NonMaskable) {
  redirect(3, 4u << 8 | kLevel);
  pulse(3);
  EXPECT_EQ(host.nmis[0], 1u);
  EXPECT_EQ(low(3) & kRemoteIrr, 0u);
}

TEST_F(VIoApicTest, Pin0IsAWireOfThe8259InExtIntMode) {
  EXPECT_FALSE(io.takes_8259(1));
  redirect(0, 7u << 8, 1);
  EXPECT_TRUE(io.takes_8259(1));
  EXPECT_FALSE(io.takes_8259(0));
  io.set_line(0, true);
  EXPECT_EQ(bus[1].pending(), 0);
}

TEST_F(VIoApicTest, PinsThatDoNotExistAreIgnored) {
  io.set_line(24, true);
  io.set_line(~0u, true);
  write(0x10 + 48, 0x55);
  EXPECT_EQ(bus[0].pending(), 0);
}

}  // namespace
}  // namespace hv
