#include "hypervisor/device/vpl011.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace hv {
namespace {

constexpr u64 kDr = 0x0, kRsr = 0x4, kFr = 0x18, kIbrd = 0x24, kFbrd = 0x28, kLcrH = 0x2c, kCr = 0x30, kIfls = 0x34,
              kImsc = 0x38, kRis = 0x3c, kMis = 0x40, kIcr = 0x44, kDmacr = 0x48;
constexpr u32 kRxFull = 1u << 6, kRxEmpty = 1u << 4, kTxFull = 1u << 5, kTxEmpty = 1u << 7, kBusy = 1u << 3;
constexpr u32 kRx = 1u << 4, kTx = 1u << 5, kTimeout = 1u << 6, kOverrun = 1u << 10;
constexpr u32 kFifoEnable = 1u << 4;

class VPl011Test : public testing::Test, private ConsoleSink, private InterruptLine {
 protected:
  u32 read(u64 offset, u32 size = 4) { return static_cast<u32>(uart.read({offset, size, 0}).value()); }
  void write(u64 offset, u64 value, u32 size = 4) { EXPECT_TRUE(uart.write({offset, size, 0}, value)); }
  void receive(std::string_view text) {
    for (const char c : text) uart.receive(c);
  }
  std::string output;
  bool interrupt = false;
  unsigned changes = 0;
  VPl011 uart{*this, *this};

 private:
  void put(char c) override { output += c; }
  void set(bool asserted) override {
    EXPECT_NE(asserted, interrupt) << "reported without a change";
    interrupt = asserted;
    ++changes;
  }
};

TEST_F(VPl011Test, PassesTransmittedCharactersOnAtOnce) {
  for (const char c : std::string("hello")) {
    EXPECT_EQ(read(kFr) & (kTxFull | kBusy | kTxEmpty), kTxEmpty);
    write(kDr, static_cast<u8>(c), 1);
  }
  EXPECT_EQ(output, "hello");
}

TEST_F(VPl011Test, TransmitsOnlyTheDataByteOfAWideWrite) {
  write(kDr, 0xffff'ff41);
  write(kDr, 0x1142, 2);
  EXPECT_EQ(output, "AB");
}

TEST_F(VPl011Test, TransmitInterruptFollowsACharacterAndItsMask) {
  EXPECT_EQ(read(kRis) & kTx, 0u);
  write(kDr, 'x');
  EXPECT_EQ(read(kRis) & kTx, kTx);
  EXPECT_FALSE(interrupt);
  write(kImsc, kTx);
  EXPECT_TRUE(interrupt);
  EXPECT_EQ(read(kMis), kTx);
  write(kIcr, kTx);
  EXPECT_FALSE(interrupt);
  EXPECT_EQ(read(kMis), 0u);
}

TEST_F(VPl011Test, ReceivesWithoutFifo) {
  EXPECT_EQ(read(kFr) & (kRxFull | kRxEmpty), kRxEmpty);
  receive("a");
  EXPECT_EQ(read(kFr) & (kRxFull | kRxEmpty), kRxFull);
  EXPECT_EQ(read(kRis), kRx);
  EXPECT_FALSE(uart.can_receive());
  EXPECT_EQ(read(kDr), static_cast<u32>('a'));
  EXPECT_EQ(read(kFr) & (kRxFull | kRxEmpty), kRxEmpty);
  EXPECT_EQ(read(kRis), 0u);
}

TEST_F(VPl011Test, ReceiveInterruptComesAtTheTriggerLevel) {
  constexpr std::pair<u32, unsigned> levels[] = {{0, 4}, {1, 8}, {2, 16}, {3, 24}, {4, 28}};
  for (const auto& [select, level] : levels) {
    uart.reset();
    write(kLcrH, kFifoEnable);
    write(kIfls, select << 3);
    receive(std::string(level - 1, 'x'));
    EXPECT_EQ(read(kRis) & kRx, 0u) << level;
    receive("x");
    EXPECT_EQ(read(kRis) & kRx, kRx) << level;
    (void)read(kDr);
    EXPECT_EQ(read(kRis) & kRx, 0u) << level;
  }
}

TEST_F(VPl011Test, FewerCharactersThanTheTriggerLevelRaiseTheTimeout) {
  write(kLcrH, kFifoEnable);
  write(kImsc, kRx | kTimeout);
  receive("ab");
  EXPECT_EQ(read(kMis), kTimeout);
  EXPECT_TRUE(interrupt);
  EXPECT_EQ(read(kDr), static_cast<u32>('a'));
  EXPECT_TRUE(interrupt);
  EXPECT_EQ(read(kDr), static_cast<u32>('b'));
  EXPECT_FALSE(interrupt);
}

TEST_F(VPl011Test, DriverThatReadsDownToTheTriggerLevelIsInterruptedForTheRest) {
  write(kLcrH, kFifoEnable);
  write(kImsc, kRx | kTimeout);
  receive(std::string(16, 'x'));
  write(kIcr, kRx | kTimeout);
  EXPECT_FALSE(interrupt);
  (void)read(kDr);
  EXPECT_TRUE(interrupt) << "fifteen characters wait";
}

TEST_F(VPl011Test, KeepsTheOrderOf32Characters) {
  write(kLcrH, kFifoEnable);
  const std::string text = "abcdefghijklmnopqrstuvwxyz012345";
  for (unsigned round = 0; round < 3; ++round) {
    receive(text);
    EXPECT_FALSE(uart.can_receive());
    EXPECT_EQ(read(kFr) & kRxFull, kRxFull);
    std::string got;
    while ((read(kFr) & kRxEmpty) == 0) got += static_cast<char>(read(kDr));
    EXPECT_EQ(got, text);
  }
}

TEST_F(VPl011Test, OverrunDropsTheCharacterAndFlagsTheNext) {
  receive("ab");
  EXPECT_EQ(read(kRis) & kOverrun, kOverrun);
  EXPECT_EQ(read(kDr), static_cast<u32>('a'));
  EXPECT_EQ(read(kRsr), 0u);
  receive("c");
  EXPECT_EQ(read(kDr), 0x800u | 'c');
  EXPECT_EQ(read(kRsr), 0x8u);
  write(kRsr, 0);
  EXPECT_EQ(read(kRsr), 0u);
}

TEST_F(VPl011Test, TogglingTheFifoEmptiesIt) {
  write(kLcrH, kFifoEnable);
  write(kImsc, kTimeout);
  receive("abc");
  write(kLcrH, 0);
  EXPECT_EQ(read(kFr) & kRxEmpty, kRxEmpty);
  EXPECT_FALSE(interrupt);
}

TEST_F(VPl011Test, ChangingTheFrameFormatKeepsTheFifo) {
  write(kLcrH, kFifoEnable);
  receive("abc");
  write(kLcrH, kFifoEnable | 0x60);
  EXPECT_EQ(read(kDr), static_cast<u32>('a'));
}

TEST_F(VPl011Test, EmptyReceiverReadsAsZero) { EXPECT_EQ(read(kDr), 0u); }

TEST_F(VPl011Test, LoopbackReturnsWhatIsTransmitted) {
  write(kCr, 0x381);
  write(kDr, 'q');
  EXPECT_EQ(output, "");
  EXPECT_EQ(read(kDr), static_cast<u32>('q'));
}

TEST_F(VPl011Test, RegistersKeepTheirImplementedBits) {
  constexpr std::pair<u64, u32> registers[] = {{0x20, 0xff},  {kIbrd, 0xffff}, {kFbrd, 0x3f},  {kLcrH, 0xff},
                                               {kCr, 0xff87}, {kIfls, 0x3f},   {kImsc, 0x7ff}, {kDmacr, 0x7}};
  for (const auto& [offset, bits] : registers) {
    write(offset, 0xffff'ffff);
    EXPECT_EQ(read(offset), bits) << offset;
  }
}

TEST_F(VPl011Test, IdentifiesAsPrimeCellUart) {
  u64 id = 0;
  for (unsigned i = 0; i < 8; ++i) id |= u64{read(0xfe0 + i * 4)} << i * 8;
  EXPECT_EQ(id, 0xb105'f00d'0034'1011u);
}

TEST_F(VPl011Test, ReservedOffsetsReadAsZeroAndIgnoreWrites) {
  for (const u64 offset : {0x08u, 0x4cu, 0x80u, 0x400u, 0xfdcu}) {
    write(offset, ~0u);
    EXPECT_EQ(read(offset), 0u);
  }
  EXPECT_EQ(read(0xfe1, 1), 0u);
  EXPECT_EQ(read(0xffc), 0xb1u);
}

TEST_F(VPl011Test, NarrowReadsSeeTheLowBytes) {
  write(kIbrd, 0x1234);
  EXPECT_EQ(read(kIbrd, 2), 0x1234u);
  EXPECT_EQ(read(kIbrd, 1), 0x34u);
  EXPECT_EQ(read(kIbrd + 1, 1), 0u);
}

TEST_F(VPl011Test, DoublewordAccessesFault) {
  EXPECT_FALSE(uart.read({kDr, 8, 0}));
  EXPECT_FALSE(uart.write({kDr, 8, 0}, 'x'));
  EXPECT_EQ(output, "");
}

TEST_F(VPl011Test, SurvivesRandomAccessesAndNeverClaimsAFullTransmitter) {
  std::mt19937 random(3);
  for (unsigned i = 0; i < 100'000; ++i) {
    const u32 size = 1u << random() % 3;
    const u64 offset = random() % (random() % 2 == 0 ? 0x60 : VPl011::kRegionSize) / size * size;
    write(offset, random(), size);
    (void)read(offset, size);
    if (random() % 4 == 0) uart.receive(static_cast<char>(random()));
    ASSERT_EQ(read(kFr) & (kTxFull | kBusy), 0u);
    ASSERT_EQ(interrupt, read(kMis) != 0);
  }
}

TEST_F(VPl011Test, ResetRestoresPowerOnStateAndLowersTheInterrupt) {
  write(kLcrH, 0xff);
  write(kImsc, 0x7ff);
  write(kDmacr, 7);
  write(kCr, 0);
  receive("abc");
  write(kDr, 'x');
  EXPECT_TRUE(interrupt);
  uart.reset();
  EXPECT_FALSE(interrupt);
  EXPECT_EQ(read(kCr), 0x300u);
  EXPECT_EQ(read(kIfls), 0x12u);
  EXPECT_EQ(read(kFr) & 0xf8, kTxEmpty | kRxEmpty);
  for (const u64 offset : {kRsr, kIbrd, kFbrd, kLcrH, kImsc, kRis, kMis, kDmacr}) EXPECT_EQ(read(offset), 0u) << offset;
}

}  // namespace
}  // namespace hv
