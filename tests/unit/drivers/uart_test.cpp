#include "kernel/drivers/uart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arch/port.hpp>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

using ::testing::ElementsAre;

constexpr Hpa kBase{0x900'0000};

// PL011 register addresses.
constexpr u64 kData = 0x900'0000, kFlags = 0x900'0018, kControl = 0x900'0030, kMask = 0x900'0038;

TEST(CadenceUart, StartsTransmitterAndReceiverWithInterruptsOff) {
  test::FakeBus bus;
  constexpr u64 kCadenceControl = 0x900'0000, kDisable = 0x900'000c;
  bus.values[kCadenceControl] = 0x28;
  CadenceUart(kBase).init();
  EXPECT_THAT(bus.written(kCadenceControl), ElementsAre(0x14));
  EXPECT_THAT(bus.written(kDisable), ElementsAre(0x1fff));
}

TEST(CadenceUart, SendsWhenTheFifoHasRoom) {
  test::FakeBus bus;
  int polls = 0;
  bus.on_read[0x900'002c] = [&] { return ++polls < 5 ? 0x10 : 0; };
  CadenceUart uart(kBase);
  uart.write("x");
  EXPECT_EQ(polls, 5);
  EXPECT_THAT(bus.written(0x900'0030), ElementsAre('x'));
}

TEST(CadenceUart, ReadsOnlyWhatHasArrived) {
  test::FakeBus bus;
  CadenceUart uart(kBase);
  bus.values[0x900'002c] = 2;
  EXPECT_EQ(uart.get(), std::nullopt);
  bus.values[0x900'002c] = 0;
  bus.values[0x900'0030] = 'q';
  EXPECT_EQ(uart.get(), 'q');
}

TEST(ImxUart, SendsWhenTheFifoHasRoom) {
  test::FakeBus bus;
  int polls = 0;
  bus.on_read[0x900'00b4] = [&] { return ++polls < 5 ? 0x10 : 0; };
  ImxUart uart(kBase);
  uart.write("x");
  EXPECT_EQ(polls, 5);
  EXPECT_THAT(bus.written(0x900'0040), ElementsAre('x'));
}

TEST(ImxUart, ReadsOnlyWhatHasArrived) {
  test::FakeBus bus;
  ImxUart uart(kBase);
  EXPECT_EQ(uart.get(), std::nullopt);
  bus.values[kBase.value()] = 0x8000 | 'q';
  EXPECT_EQ(uart.get(), 'q');
}

TEST(ImxUart, LetsOnlyTheReceiverInterrupt) {
  test::FakeBus bus;
  bus.values[0x900'0080] = 0xffff;
  ImxUart uart(kBase);
  uart.init();
  uart.enable_receive_interrupt();
  EXPECT_THAT(bus.written(0x900'0080), ElementsAre(1, 0x201));
}

TEST(Pl011, SendsCarriageReturnBeforeEveryNewline) {
  test::FakeBus bus;
  Pl011 uart(kBase);
  uart.write("a\nb");
  EXPECT_THAT(bus.written(kData), ElementsAre('a', '\r', '\n', 'b'));
}

TEST(Pl011, WaitsUntilTheFifoHasRoom) {
  test::FakeBus bus;
  int polls = 0;
  bus.on_read[kFlags] = [&] { return ++polls < 5 ? 0x20 : 0; };
  Pl011 uart(kBase);
  uart.write("x");
  EXPECT_EQ(polls, 5);
  EXPECT_THAT(bus.written(kData), ElementsAre('x'));
}

TEST(Pl011, GivesUpOnATransmitterThatIsStuck) {
  test::FakeBus bus;
  bus.on_read[kFlags] = [&]() -> u64 { bus.reads.clear(); return 0x20; };
  Pl011 uart(kBase);
  uart.write("x");
  EXPECT_TRUE(bus.written(kData).empty());
}

TEST(Pl011, StartsTransmitterAndReceiverAndKeepsOtherControlBits) {
  test::FakeBus bus;
  bus.values[kControl] = 0xc000;
  Pl011(kBase).init();
  EXPECT_THAT(bus.written(kControl), ElementsAre(0xc301));
  EXPECT_THAT(bus.written(kMask), ElementsAre(0));
}

TEST(Pl011, ReadsOnlyWhatHasArrived) {
  test::FakeBus bus;
  Pl011 uart(kBase);
  bus.values[kFlags] = 0x10;
  EXPECT_EQ(uart.get(), std::nullopt);
  bus.values[kFlags] = 0;
  bus.values[kData] = 'q';
  EXPECT_EQ(uart.get(), 'q');
}

TEST(Uart16550, ScalesRegistersByTheShiftAndUsesTheAccessWidth) {
  test::FakeBus bus;
  bus.values[0x900'0000 + (5 << 2)] = 0x20;
  Uart16550 uart(kBase, 2, 4);
  uart.write("x");
  EXPECT_THAT(bus.writes, ElementsAre(test::Access{0x900'0000, 4, 'x'}));
  EXPECT_THAT(bus.reads, ElementsAre(test::Access{0x900'0014, 4, 0}));
}

TEST(Uart16550, UsesBytesOnAPcStylePort) {
  test::FakeBus bus;
  bus.values[0x900'0005] = 0x20;
  Uart16550(kBase, 0, 1).write("x");
  EXPECT_THAT(bus.writes, ElementsAre(test::Access{0x900'0000, 1, 'x'}));
}

TEST(Uart16550, EndsTheBusyDetectInterruptOfDesignWarePorts) {
  test::FakeBus bus;
  Uart16550 uart(kBase, 2, 4);
  const test::Access status{0x900'0000 + (31 << 2), 4, 0};
  bus.values[0x900'0008] = 0xc4;  // received data
  uart.acknowledge_interrupt();
  EXPECT_THAT(bus.reads, ::testing::Not(::testing::Contains(status)));
  bus.values[0x900'0008] = 0xc7;  // busy detect
  uart.acknowledge_interrupt();
  EXPECT_THAT(bus.reads, ::testing::Contains(status));
}

TEST(Uart16550Ports, SetsTheLineThatFirmwareMayHaveLeftAtFiveBits) {
  test::FakeBus bus;
  constexpr u64 kCom1 = arch::fake::kPorts + 0x3f8;
  Uart16550Ports(0x3f8).init();
  EXPECT_THAT(bus.written(kCom1 + 3), ElementsAre(0x80, 0x03));  // divisor access, then 8N1
  EXPECT_THAT(bus.written(kCom1 + 0), ElementsAre(1));           // 115200
  EXPECT_THAT(bus.written(kCom1 + 1), ElementsAre(0, 0));        // divisor, then no interrupts
}

TEST(Uart16550Ports, SendsThroughPorts) {
  test::FakeBus bus;
  constexpr u64 kCom1 = arch::fake::kPorts + 0x3f8;
  bus.values[kCom1 + 5] = 0x20;
  Uart16550Ports uart(0x3f8);
  uart.write("x");
  EXPECT_THAT(bus.writes, ElementsAre(test::Access{kCom1, 1, 'x'}));
}

}  // namespace
}  // namespace ax::drivers
