#include "hypervisor/device/x86_64/v8259.hpp"

#include <gtest/gtest.h>

#include "tests/unit/device/x86_64/recording_host.hpp"

namespace hv {
namespace {

constexpr u8 kNonSpecificEnd = 0x20, kSpecificEnd = 0x60, kReadRequests = 0x0a, kReadService = 0x0b;

class V8259Test : public testing::Test, private InterruptLine {
 protected:
  V8259Test() { initialise(1); }
  /// The sequence of a PC: vectors 0x30 and 0x38, everything unmasked.
  void initialise(u8 icw4) {
    for (const auto& [port, base, cascade] : {std::tuple<u16, u8, u8>{0x20, 0x30, 4}, {0xa0, 0x38, 2}}) {
      pic.write(port, 0x11);
      pic.write(port + 1, base);
      pic.write(port + 1, cascade);
      pic.write(port + 1, icw4);
    }
  }
  void pulse(unsigned irq) {
    pic.set_line(irq, false);
    pic.set_line(irq, true);
  }
  u8 ask(u16 port, u8 command) {
    pic.write(port, command);
    return pic.read(port);
  }
  RecordingHost host;
  bool intr = false;
  V8259Pair pic{host, *this};

 private:
  void set(bool asserted) override {
    EXPECT_NE(asserted, intr) << "reported without a change";
    intr = asserted;
  }
};

TEST_F(V8259Test, EverythingIsMaskedAfterPowerOn) {
  pic.power_on();
  for (unsigned irq = 0; irq < 16; ++irq) pulse(irq);
  EXPECT_FALSE(intr);
  EXPECT_EQ(pic.read(0x21), 0xff);
}

TEST_F(V8259Test, MaskCanBeProbed) {
  pic.write(0x21, 0xfb);
  EXPECT_EQ(pic.read(0x21), 0xfb);
}

TEST_F(V8259Test, AcknowledgeMovesTheRequestIntoService) {
  pulse(4);
  EXPECT_TRUE(intr);
  EXPECT_EQ(ask(0x20, kReadRequests), 0x10);
  EXPECT_EQ(pic.vector(), 0x34);
  EXPECT_EQ(pic.acknowledge(), 0x34);
  EXPECT_FALSE(intr);
  EXPECT_EQ(ask(0x20, kReadRequests), 0);
  EXPECT_EQ(ask(0x20, kReadService), 0x10);
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(pic.read(0x20), 0);
}

TEST_F(V8259Test, HigherPriorityNestsAndLowerWaits) {
  pulse(4);
  pic.acknowledge();
  pulse(5);
  EXPECT_FALSE(intr);
  pulse(1);
  EXPECT_TRUE(intr);
  EXPECT_EQ(pic.acknowledge(), 0x31);
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(ask(0x20, kReadService), 0x10);
  EXPECT_FALSE(intr);
  pic.write(0x20, kSpecificEnd | 4);
  EXPECT_EQ(pic.acknowledge(), 0x35);
}

TEST_F(V8259Test, SlaveInterruptsThroughTheCascade) {
  pulse(8);
  EXPECT_EQ(pic.acknowledge(), 0x38);
  EXPECT_EQ(ask(0x20, kReadService), 0x04);
  EXPECT_EQ(ask(0xa0, kReadService), 0x01);
  pulse(12);
  EXPECT_FALSE(intr);
  pic.write(0xa0, kNonSpecificEnd);
  EXPECT_FALSE(intr) << "the master still serves the cascade";
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(pic.acknowledge(), 0x3c);
}

TEST_F(V8259Test, SpecialFullyNestedModeLetsTheSlaveNest) {
  initialise(0x11);
  pulse(12);
  pic.acknowledge();
  pulse(8);
  EXPECT_TRUE(intr);
  EXPECT_EQ(pic.acknowledge(), 0x38);
}

TEST_F(V8259Test, RequestThatGoesAwayBeforeTheAcknowledgeIsSpurious) {
  pulse(4);
  pic.set_line(4, false);
  EXPECT_FALSE(intr);
  EXPECT_EQ(pic.acknowledge(), 0x37);
  EXPECT_EQ(ask(0x20, kReadService), 0) << "a spurious IRQ 7 is not in service";
}

TEST_F(V8259Test, EdgeNeedsAFreshRise) {
  pulse(4);
  pic.acknowledge();
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_FALSE(intr) << "still high";
  pulse(4);
  EXPECT_TRUE(intr);
}

TEST_F(V8259Test, LevelInterruptsUntilTheLineFalls) {
  pic.write(0x4d1, 0xff);
  pic.write(0x4d0, 0xff);
  EXPECT_EQ(pic.read(0x4d0), 0xf8);
  EXPECT_EQ(pic.read(0x4d1), 0xde);
  pic.set_line(11, true);
  EXPECT_EQ(pic.acknowledge(), 0x3b);
  pic.write(0xa0, kNonSpecificEnd);
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(host.take_events(), "eoi11 ");
  EXPECT_TRUE(intr);
  pic.set_line(11, false);
  EXPECT_FALSE(intr);
}

TEST_F(V8259Test, AutoEndLeavesNothingInService) {
  initialise(3);
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x34);
  EXPECT_EQ(ask(0x20, kReadService), 0);
  pulse(5);
  EXPECT_TRUE(intr);
}

TEST_F(V8259Test, RotationMakesTheServedInputTheLowest) {
  pulse(3);
  pic.acknowledge();
  pic.write(0x20, 0xa0);  // rotate on non-specific end
  pulse(3);
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x34);
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(pic.acknowledge(), 0x33);
  pic.write(0x20, 0xe0 | 3);  // rotate on specific end
  pic.write(0x20, 0xc0 | 6);  // set priority: 7 is the highest
  pulse(0);
  pulse(7);
  EXPECT_EQ(pic.acknowledge(), 0x37);
}

TEST_F(V8259Test, RotationInAutoEndMode) {
  initialise(3);
  pic.write(0x20, 0x80);
  pulse(3);
  pic.acknowledge();
  pulse(3);
  pulse(5);
  EXPECT_EQ(pic.acknowledge(), 0x35);
  pic.write(0x20, 0x00);
  EXPECT_EQ(pic.acknowledge(), 0x33);
}

TEST_F(V8259Test, SpecialMaskModeOpensLowerPriorities) {
  pulse(3);
  pic.acknowledge();
  pulse(6);
  EXPECT_FALSE(intr);
  pic.write(0x21, 1u << 3);
  EXPECT_FALSE(intr);
  pic.write(0x20, 0x68);
  EXPECT_TRUE(intr);
  EXPECT_EQ(pic.acknowledge(), 0x36);
  pic.write(0x20, kNonSpecificEnd);
  EXPECT_EQ(ask(0x20, kReadService), 1u << 3) << "only a specific EOI ends a masked level";
  pic.write(0x20, 0x48);
  pic.write(0x20, kSpecificEnd | 3);
  EXPECT_EQ(ask(0x20, kReadService), 0);
}

TEST_F(V8259Test, PollAcknowledges) {
  EXPECT_EQ(ask(0x20, 0x0c), 0);
  pulse(5);
  EXPECT_EQ(ask(0x20, 0x0c), 0x85);
  EXPECT_FALSE(intr);
  EXPECT_EQ(ask(0x20, kReadService), 0x20);
}

TEST_F(V8259Test, NothingComesDuringInitialisation) {
  pulse(4);
  pic.write(0x20, 0x11);
  pulse(4);
  EXPECT_FALSE(intr);
  pic.write(0x21, 0x30);
  pic.write(0x21, 4);
  pic.write(0x21, 1);
  EXPECT_TRUE(intr);
}

TEST_F(V8259Test, SingleModeWithoutIcw4NeedsOneMoreWord) {
  pic.write(0x20, 0x12);
  pic.write(0x21, 0x43);
  pic.write(0x21, 0x55);
  EXPECT_EQ(pic.read(0x21), 0x55);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x43) << "base 0x40";
}

}  // namespace
}  // namespace hv
