#include "hypervisor/device/x86_64/v16550.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/device/x86_64/recording_line.hpp"

namespace hv {
namespace {

constexpr unsigned kData = 0, kIer = 1, kIir = 2, kFcr = 2, kLcr = 3, kMcr = 4, kLsr = 5, kMsr = 6, kScratch = 7;

class V16550Test : public testing::Test, private ConsoleSink {
 protected:
  void receive(std::string_view text) {
    for (const char c : text) uart.receive(c);
  }
  unsigned read(unsigned offset) { return uart.read(offset); }
  std::string output;
  RecordingLine irq;
  V16550 uart{*this, irq};

 private:
  void put(char c) override { output += c; }
};

TEST_F(V16550Test, TransmitsAtOnce) {
  for (const char c : std::string("hello")) {
    EXPECT_EQ(read(kLsr), 0x60u);
    uart.write(kData, static_cast<u8>(c));
  }
  EXPECT_EQ(output, "hello");
}

TEST_F(V16550Test, IsRecognisedAsA16550A) {
  uart.write(kIer, 0);
  EXPECT_EQ(read(kIer), 0u);
  uart.write(kIer, 0xff);
  EXPECT_EQ(read(kIer), 0x0fu);
  uart.write(kIer, 0);
  uart.write(kScratch, 0x5a);
  EXPECT_EQ(read(kScratch), 0x5au);
  uart.write(kFcr, 1);
  EXPECT_EQ(read(kIir), 0xc1u);
  uart.write(kFcr, 0);
  EXPECT_EQ(read(kIir), 0x01u);
}

TEST_F(V16550Test, DivisorLatch) {
  uart.write(kLcr, 0x83);
  uart.write(kData, 0x0c);
  uart.write(kIer, 0x01);
  EXPECT_EQ(read(kData), 0x0cu);
  EXPECT_EQ(read(kIer), 0x01u);
  uart.write(kLcr, 0x03);
  EXPECT_EQ(read(kIer), 0u);
  EXPECT_EQ(read(kLcr), 0x03u);
  EXPECT_EQ(output, "");
}

TEST_F(V16550Test, TransmitInterrupt) {
  uart.write(kIer, 2);
  EXPECT_TRUE(irq.asserted) << "the holding register is empty";
  EXPECT_EQ(read(kIir), 0x02u);
  EXPECT_FALSE(irq.asserted) << "reading the source clears it";
  EXPECT_EQ(read(kIir), 0x01u);
  uart.write(kData, 'x');
  EXPECT_TRUE(irq.asserted);
  uart.write(kIer, 0);
  EXPECT_FALSE(irq.asserted);
}

TEST_F(V16550Test, ReceiveInterruptWithoutFifo) {
  uart.write(kIer, 1);
  receive("a");
  EXPECT_EQ(read(kLsr), 0x61u);
  EXPECT_EQ(read(kIir), 0x04u);
  EXPECT_FALSE(uart.can_receive());
  EXPECT_EQ(read(kData), static_cast<unsigned>('a'));
  EXPECT_FALSE(irq.asserted);
  EXPECT_EQ(read(kLsr), 0x60u);
}

TEST_F(V16550Test, ReceiveTriggerLevelsAndTimeout) {
  uart.write(kIer, 1);
  constexpr std::pair<u8, unsigned> levels[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
  for (const auto& [control, level] : levels) {
    uart.write(kFcr, control | 2);
    receive(std::string(level - 1, 'x'));
    EXPECT_EQ(read(kIir), level == 1 ? 0xc1u : 0xccu) << level;
    receive("x");
    EXPECT_EQ(read(kIir), 0xc4u) << level;
  }
}

TEST_F(V16550Test, FifoKeepsOrderAndReportsOverrun) {
  uart.write(kFcr, 1);
  uart.write(kIer, 4);
  receive("0123456789abcdef");
  EXPECT_FALSE(irq.asserted);
  receive("!");
  EXPECT_EQ(read(kIir), 0xc6u);
  EXPECT_EQ(read(kLsr), 0x63u);
  EXPECT_FALSE(irq.asserted);
  std::string got;
  while ((read(kLsr) & 1) != 0) got += static_cast<char>(read(kData));
  EXPECT_EQ(got, "0123456789abcdef");
}

TEST_F(V16550Test, LineStatusComesBeforeDataBeforeTransmit) {
  uart.write(kIer, 7);
  receive("ab");
  EXPECT_EQ(read(kIir), 0x06u);
  (void)read(kLsr);
  EXPECT_EQ(read(kIir), 0x04u);
  (void)read(kData);
  EXPECT_EQ(read(kIir), 0x02u);
  EXPECT_EQ(read(kIir), 0x01u);
}

TEST_F(V16550Test, ClearingTheFifoDropsTheInterrupt) {
  uart.write(kFcr, 1);
  uart.write(kIer, 1);
  receive("abc");
  uart.write(kFcr, 3);
  EXPECT_FALSE(irq.asserted);
  EXPECT_EQ(read(kLsr), 0x60u);
}

TEST_F(V16550Test, ModemLines) {
  EXPECT_EQ(read(kMsr), 0xb0u);
  uart.write(kMcr, 0xff);
  EXPECT_EQ(read(kMcr), 0x1fu);
}

TEST_F(V16550Test, LoopbackOfModemLines) {
  uart.write(kIer, 8);
  uart.write(kMcr, 0x1a);  // loop, OUT2, RTS
  EXPECT_EQ(read(kMsr) & 0xf0, 0x90u) << "as drivers probe for a UART";
  uart.write(kMcr, 0x15);  // loop, OUT1, DTR
  EXPECT_EQ(read(kIir), 0x00u);
  EXPECT_EQ(read(kMsr), 0x60u | 0x0b) << "ring indicator reports its end only";
  uart.write(kMcr, 0x11);
  EXPECT_EQ(read(kMsr), 0x20u | 0x04);
  EXPECT_EQ(read(kIir), 0x01u);
}

TEST_F(V16550Test, LoopbackOfData) {
  uart.write(kMcr, 0x10);
  uart.write(kData, 'L');
  receive("x");
  EXPECT_EQ(output, "");
  EXPECT_EQ(read(kData), static_cast<unsigned>('L'));
  EXPECT_EQ(read(kLsr) & 1, 0u);
}

}  // namespace
}  // namespace hv
