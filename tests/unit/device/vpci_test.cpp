#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/device/pci/vpci_bus.hpp"
#include "tests/unit/device/fake_pci.hpp"

namespace hv {
namespace {

using test::FakePci;
using test::FakeSink;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PciMessage kHost[] = {{0xfee0'0000, 0xb0}, {0xfee0'0000, 0xb1}};
constexpr u32 kCommand = 4, kMemory = 2, kMaster = 4, kNoPin = 0x400;

class VPci : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(function.probe());
    function.attach(kHost);
    hardware.writes.clear();
  }
  void write_entry(unsigned index, u32 word, u32 value) { function.write_memory(table(index, word), 4, value); }
  static Hpa table(unsigned index, u32 word) { return Hpa(FakePci::kTable + 0x800 + index * 16 + word * 4); }
  /// What the hardware would send by entry `index`; nothing while it is masked.
  std::optional<PciMessage> armed(unsigned index) {
    if ((hardware.memory[table(index, 3).value()] & 1) != 0) return std::nullopt;
    return PciMessage{hardware.memory[table(index, 0).value()], hardware.memory[table(index, 2).value()]};
  }
  void guest_programs(unsigned index, u32 address, u32 data) {
    write_entry(index, 0, address);
    write_entry(index, 1, 0);
    write_entry(index, 2, data);
    write_entry(index, 3, 0);
  }
  void enable_msix(u32 control = 0x8000) { function.write(FakePci::kMsix + 2, 2, control); }

  FakePci hardware;
  FakeSink sink;
  VPciFunction function{hardware, sink};
};

TEST_F(VPci, FindsMemoryRangesAndLeavesThemWhereTheyWere) {
  ASSERT_EQ(function.bars().size(), 2U);
  EXPECT_EQ(function.bars()[0].base, Hpa(FakePci::kTable));
  EXPECT_EQ(function.bars()[0].size, 0x2000U);
  EXPECT_EQ(function.bars()[1].base, Hpa(0x8'0000'4000));
  EXPECT_EQ(function.bars()[1].size, 0x4000U);
  EXPECT_TRUE(function.bars()[1].is_64bit && function.bars()[1].prefetchable);
  EXPECT_EQ(hardware.word(0x14), FakePci::kTable);
  EXPECT_EQ(hardware.word(0x24), 8U);
}

TEST_F(VPci, IsSilentUntilTheGuestTurnsItOn) {
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kNoPin);
  function.write(kCommand, 2, kMemory | kMaster);
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kMaster | kNoPin) << "no pin: it stays off";
  EXPECT_EQ(function.read(kCommand, 2), kMemory | kMaster);
  function.write(kCommand, 2, 0);
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kNoPin) << "decoding stays on";
}

TEST_F(VPci, ShowsOneFunctionWithoutPortsRomAndPin) {
  EXPECT_EQ(function.read(0x00, 4), 0x1001'1af4U);
  EXPECT_EQ(function.read(0x0e, 1), 0U) << "header type";
  EXPECT_EQ(function.read(0x10, 4), 0U);
  function.write(0x30, 4, ~0u);
  EXPECT_EQ(function.read(0x30, 4), 0U);
  EXPECT_EQ(function.read(0x3d, 1), 0U);
  function.write(0x3c, 1, 0x0b);
  EXPECT_EQ(function.read(0x3c, 1), 0x0bU);
  EXPECT_EQ(function.read(0x100, 4), 0U);
}

TEST_F(VPci, LetsTheGuestSizeAndRestoreItsRanges) {
  EXPECT_EQ(function.read(0x14, 4), FakePci::kTable);
  EXPECT_EQ(function.read(0x20, 4), 0x400cU);
  EXPECT_EQ(function.read(0x24, 4), 8U);
  for (const u32 offset : {0x14u, 0x20u, 0x24u}) function.write(offset, 4, ~0u);
  EXPECT_EQ(function.read(0x14, 4), 0xffff'e000U);
  EXPECT_EQ(function.read(0x20, 4), 0xffff'c00cU);
  EXPECT_EQ(function.read(0x24, 4), 0xffff'ffffU);
  EXPECT_THAT(hardware.writes, IsEmpty()) << "the hardware's stay";
}

TEST_F(VPci, ListsOnlyCapabilitiesThatItKnows) {
  std::vector<u32> ids;
  for (u32 at = function.read(0x34, 1); at != 0; at = function.read(at + 1, 1)) ids.push_back(function.read(at, 1));
  EXPECT_THAT(ids, ElementsAre(0x10, 0x09, 0x05, 0x11));
  EXPECT_EQ(function.read(FakePci::kPower, 4), 0U);
  function.write(FakePci::kPower + 4, 2, 3);
  function.write(FakePci::kVendor + 12, 4, 1);
  function.write(FakePci::kExpress + 8, 2, 0x8000);
  EXPECT_THAT(hardware.writes, IsEmpty());
}

TEST_F(VPci, ShowsAsManyTableEntriesAsThereAreMessages) {
  EXPECT_EQ(function.message_count(), 4U);
  EXPECT_EQ(function.read(FakePci::kMsix + 2, 2), 1U) << "two, as the host gave";
  EXPECT_EQ(function.read_memory(table(0, 3), 4), 1U);
  EXPECT_EQ(function.read_memory(table(3, 3), 4), 1U) << "beyond: masked for ever";
  write_entry(3, 3, 0);
  EXPECT_EQ(function.read_memory(table(3, 3), 4), 1U);
}

TEST_F(VPci, SendsTheHostsMessageAndPassesTheGuestsOn) {
  EXPECT_TRUE(function.mediates(Hpa(FakePci::kTable)));
  EXPECT_FALSE(function.mediates(Hpa(FakePci::kTable + 0x1000)));
  guest_programs(1, 0xfee0'3000, 0x4041);
  EXPECT_EQ(function.read_memory(table(1, 2), 4), 0x4041U);
  EXPECT_EQ(armed(1), kHost[1]) << "nothing of what the guest wrote";
  EXPECT_EQ(armed(0), std::nullopt);
  function.hardware_message(1);
  EXPECT_THAT(sink.sent, IsEmpty()) << "MSI-X is off";
  enable_msix();
  EXPECT_EQ(hardware.word(FakePci::kMsix) >> 30, 2U);
  EXPECT_THAT(sink.sent, IsEmpty()) << "what came too early is lost";
  function.hardware_message(1);
  EXPECT_THAT(sink.sent, ElementsAre(PciMessage{0xfee0'3000, 0x4041}));
}

TEST_F(VPci, KeepsAMessageThatWasUnderWayWhenTheGuestMaskedIt) {
  guest_programs(0, 0xfee0'0000, 0x31);
  enable_msix();
  write_entry(0, 3, 1);
  EXPECT_EQ(armed(0), std::nullopt);
  function.hardware_message(0);
  EXPECT_THAT(sink.sent, IsEmpty());
  write_entry(0, 3, 0);
  EXPECT_THAT(sink.sent, ElementsAre(PciMessage{0xfee0'0000, 0x31}));
  enable_msix(0xc000);
  function.hardware_message(0);
  EXPECT_EQ(sink.sent.size(), 1U) << "all are masked";
  enable_msix();
  EXPECT_EQ(sink.sent.size(), 2U);
  write_entry(0, 3, 1), write_entry(0, 3, 0);
  EXPECT_EQ(sink.sent.size(), 2U) << "only once";
}

TEST_F(VPci, AccessesToTheTableMayBeNarrowOrWide) {
  function.write_memory(table(0, 0), 8, 0x1122'3344'fee0'1000);
  EXPECT_EQ(function.read_memory(table(0, 0), 8), 0x1122'3344'fee0'1000U);
  EXPECT_EQ(function.read_memory(table(0, 1), 2), 0x3344U);
  function.write_memory(table(0, 2), 1, 0x55);
  EXPECT_EQ(function.read_memory(table(0, 2), 4), 0x55U);
  function.write_memory(Hpa(FakePci::kTable + 0x10), 4, 7);
  EXPECT_EQ(hardware.memory[FakePci::kTable + 0x10], 7U) << "not the table: the hardware's";
}

TEST_F(VPci, EmulatesMsi) {
  EXPECT_EQ(function.read(FakePci::kMsi + 2, 2), 0x180U) << "one message only";
  function.write(FakePci::kMsi + 4, 4, 0xfee0'2000);
  function.write(FakePci::kMsi + 12, 2, 0x4321);
  function.write(FakePci::kMsi + 2, 2, 0x0181);
  EXPECT_EQ(function.read(FakePci::kMsi + 2, 2), 0x181U);
  EXPECT_EQ(hardware.word(FakePci::kMsi + 4), kHost[0].address);
  EXPECT_EQ(hardware.word(FakePci::kMsi + 12) & 0xffff, kHost[0].data);
  EXPECT_EQ(hardware.word(FakePci::kMsi) >> 16 & 0x71, 1U) << "on, for one message";
  function.hardware_message(0);
  EXPECT_THAT(sink.sent, ElementsAre(PciMessage{0xfee0'2000, 0x4321}));
  function.write(FakePci::kMsi + 16, 4, 1);
  EXPECT_EQ(hardware.word(FakePci::kMsi + 16), 1U);
  function.hardware_message(0);
  EXPECT_EQ(sink.sent.size(), 1U);
  function.write(FakePci::kMsi + 16, 4, 0);
  EXPECT_EQ(sink.sent.size(), 2U);
}

TEST_F(VPci, MsixSilencesMsi) {
  function.write(FakePci::kMsi + 2, 2, 0x0181);
  enable_msix();
  EXPECT_EQ(hardware.word(FakePci::kMsi) >> 16 & 1, 0U);
}

TEST_F(VPci, IsQuietAfterItsGuest) {
  function.write(kCommand, 2, kMemory | kMaster);
  guest_programs(0, 0xfee0'0000, 0x31);
  enable_msix();
  hardware.memory[FakePci::kTable + 0x14] = 0xf;
  hardware.put(FakePci::kVendor + 4, 1);
  function.detach();
  EXPECT_EQ(hardware.word(kCommand) & kMaster, 0U);
  EXPECT_EQ(hardware.word(FakePci::kMsix) >> 30, 0U);
  function.hardware_message(0);
  EXPECT_THAT(sink.sent, IsEmpty());
}

TEST_F(VPci, ResetsAVirtioDeviceThroughItsStatus) {
  hardware.put(FakePci::kVendor, (hardware.word(FakePci::kVendor) & 0xffff) | 0x0110'0000);
  hardware.put(FakePci::kVendor + 4, 1);
  hardware.put(FakePci::kVendor + 8, 0);
  hardware.memory[FakePci::kTable + 0x14] = 0xf;
  ASSERT_TRUE(function.probe());
  function.attach(kHost);
  EXPECT_EQ(hardware.memory[FakePci::kTable + 0x14], 0U);
}

TEST_F(VPci, ResetsAFunctionThatCanBe) {
  hardware.put(FakePci::kExpress + 4, 1 << 28);
  function.detach();
  EXPECT_EQ(hardware.resets, 1U);
  EXPECT_EQ(hardware.word(0x14), FakePci::kTable) << "and knows its ranges again";
}

TEST(VPciProbe, RefusesWhatIsNotThereAndWhatItCannotServe) {
  FakeSink sink;
  FakePci absent, bridge, unplaced;
  absent.put(0, ~0u);
  bridge.put(0x0c, 0x0001'0000);
  unplaced.bar(1, 0, 0xffff'e000);
  EXPECT_EQ(VPciFunction(absent, sink).probe().error(), Error::NotFound);
  EXPECT_EQ(VPciFunction(bridge, sink).probe().error(), Error::NotSupported);
  EXPECT_EQ(VPciFunction(unplaced, sink).probe().error(), Error::BadState);
}

TEST(VPciProbe, EndsWithAListThatNeverDoes) {
  FakeSink sink;
  FakePci hardware;
  hardware.put(FakePci::kMsix, 0x0003'0011 | FakePci::kPower << 8);
  VPciFunction function(hardware, sink);
  EXPECT_TRUE(function.probe());
  EXPECT_EQ(function.message_count(), 4U);
}

TEST(VPciProbe, DoesWithoutATableThatIsNowhere) {
  FakeSink sink;
  FakePci hardware;
  hardware.put(FakePci::kMsix + 4, 0x1ff8 | 1);
  VPciFunction function(hardware, sink);
  EXPECT_TRUE(function.probe());
  EXPECT_EQ(function.message_count(), 1U) << "MSI is left";
  function.attach(std::span(kHost).first(1));
  function.write(FakePci::kMsix + 2, 2, 0x8000);
  EXPECT_EQ(hardware.word(FakePci::kMsix) >> 31, 0U);
}

class VPciBusTest : public VPci {
 protected:
  void SetUp() override {
    VPci::SetUp();
    ASSERT_TRUE(bus.add(function));
  }
  u32 by_port(u32 address, u32 offset, u32 size) {
    bus.port_write(0, 4, address);
    return bus.port_read(4 + offset, size);
  }
  VPciBus bus;
};

TEST_F(VPciBusTest, HasABridgeAndTheFunctionAndNothingElse) {
  EXPECT_EQ(bus.read(0x8, 4), 0x0600'0000U);
  EXPECT_EQ(bus.read(0x8000, 4), 0x1001'1af4U);
  EXPECT_EQ(bus.read(0x8002, 2), 0x1001U);
  for (const u64 nobody : {0x1000u, 0x9000u, 0x1'0000u, 0x10'0000u}) EXPECT_EQ(bus.read(nobody, 4), ~0u) << nobody;
  bus.write(0x8004, 2, kMaster);
  EXPECT_EQ(function.read(kCommand, 2), kMaster);
}

TEST_F(VPciBusTest, AnswersAtThePortsToo) {
  EXPECT_EQ(by_port(0x8000'0800, 0, 4), 0x1001'1af4U);
  EXPECT_EQ(by_port(0x8000'0800, 2, 2), 0x1001U);
  EXPECT_EQ(by_port(0x0000'0800, 0, 4), ~0u) << "not enabled";
  EXPECT_EQ(by_port(0x8000'0900, 0, 4), ~0u) << "another function";
  EXPECT_EQ(by_port(0x8001'0800, 0, 1), 0xffU) << "another bus";
  EXPECT_EQ(bus.port_read(0, 4), 0x8001'0800U);
  EXPECT_EQ(by_port(0x8000'0800, 3, 2), 0xffffU) << "across a word";
}

}  // namespace
}  // namespace hv
