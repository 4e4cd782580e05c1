#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/device/pci/pci_window.hpp"
#include "tests/unit/device/fake_pci.hpp"

namespace hv {
namespace {

using test::FakePci;
using test::FakeSink;
using test::FakeSpace;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PciMessage kHost[] = {{0xfee0'0000, 0xb0}, {0xfee0'0000, 0xb1}};
constexpr u32 kCommand = 4, kPorts = 1, kMemory = 2, kMaster = 4, kNoPin = 0x400;

/// What PciPassthrough does where a bus has the CPU's addresses.
void find_bars(VPciFunction& function) {
  for (PciBar& bar : function.bars()) bar.base = Hpa(bar.bus);
}

class VPci : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(function.probe(true));
    find_bars(function);
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

TEST_F(VPci, FindsRangesAndLeavesThemWhereTheyWere) {
  ASSERT_EQ(function.bars().size(), 3U);
  EXPECT_TRUE(function.bars()[0].is_port);
  EXPECT_EQ(function.bars()[0].bus, FakePci::kPorts);
  EXPECT_EQ(function.bars()[0].size, 128U);
  EXPECT_EQ(function.bars()[1].base, Hpa(FakePci::kTable));
  EXPECT_EQ(function.bars()[1].size, 0x2000U);
  EXPECT_EQ(function.bars()[2].base, Hpa(0x8'0000'4000));
  EXPECT_EQ(function.bars()[2].size, 0x4000U);
  EXPECT_TRUE(function.bars()[2].is_64bit && function.bars()[2].prefetchable);
  EXPECT_EQ(hardware.word(0x14), FakePci::kTable);
  EXPECT_EQ(hardware.word(0x24), 8U);
}

TEST_F(VPci, LeavesPortsOutWhereThereAreNone) {
  VPciFunction without(hardware, sink);
  ASSERT_TRUE(without.probe(false));
  EXPECT_EQ(without.bars().size(), 2U);
  EXPECT_EQ(without.read(0x10, 4), 0U);
}

TEST_F(VPci, GivesTheHardwareThePlaceItWasFound) {
  ASSERT_TRUE(function.probe(true));
  function.bars()[1].bus = 0x1000'2000;
  function.attach(kHost);
  EXPECT_EQ(hardware.word(0x14), 0x1000'2000U);
  EXPECT_EQ(function.read(0x14, 4), 0x1000'2000U);
}

TEST_F(VPci, IsSilentUntilTheGuestTurnsItOn) {
  EXPECT_EQ(function.read(kCommand, 2), kMemory | kPorts) << "decoded, as firmware leaves it";
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kPorts | kNoPin);
  function.write(kCommand, 2, kMemory | kMaster);
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kPorts | kMaster | kNoPin) << "no pin: it stays off";
  EXPECT_EQ(function.read(kCommand, 2), kMemory | kMaster);
  function.write(kCommand, 2, 0);
  EXPECT_EQ(hardware.word(kCommand) & 0xffff, kMemory | kPorts | kNoPin) << "decoding stays on";
}

TEST_F(VPci, ItsPinIsTheGuestsIfTheLineIs) {
  function.give_interrupt_pin(10);
  function.attach(kHost);
  EXPECT_EQ(function.read(0x3c, 2), 0x010aU);
  EXPECT_EQ(hardware.word(kCommand) & kNoPin, 0U);
  function.write(kCommand, 2, kMemory | kNoPin);
  EXPECT_EQ(hardware.word(kCommand) & kNoPin, kNoPin);
  function.detach();
  EXPECT_EQ(hardware.word(kCommand) & kNoPin, kNoPin);
}

TEST_F(VPci, HidesMessagesThatNobodyWouldSend) {
  function.attach({});
  std::vector<u32> ids;
  for (u32 at = function.read(0x34, 1); at != 0; at = function.read(at + 1, 1)) ids.push_back(function.read(at, 1));
  EXPECT_THAT(ids, ElementsAre(0x10, 0x09));
  hardware.writes.clear();
  function.write(FakePci::kMsi + 4, 4, 0xfee0'0000);
  function.write(FakePci::kMsi + 2, 2, 1);
  enable_msix();
  EXPECT_EQ(function.read(FakePci::kMsi, 4), 0U);
  EXPECT_THAT(hardware.writes, IsEmpty());
  EXPECT_EQ(function.mediated(), (HpaRange{Hpa(FakePci::kTable), kPageSize})) << "the table is still not the guest's";
}

TEST_F(VPci, ShowsOneFunctionWithoutRomAndPin) {
  EXPECT_EQ(function.read(0x00, 4), 0x1001'1af4U);
  EXPECT_EQ(function.read(0x0e, 1), 0U) << "header type";
  EXPECT_EQ(function.read(0x10, 4), 0xc001U);
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
  for (const u32 offset : {0x10u, 0x14u, 0x20u, 0x24u}) function.write(offset, 4, ~0u);
  EXPECT_EQ(function.read(0x10, 4), 0xffff'ff81U);
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
  EXPECT_EQ(function.mediated(), (HpaRange{Hpa(FakePci::kTable), kPageSize}));
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
  ASSERT_TRUE(function.probe(true));
  find_bars(function);
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
  FakePci absent, bridge;
  absent.put(0, ~0u);
  bridge.put(0x0c, 0x0001'0000);
  EXPECT_EQ(VPciFunction(absent, sink).probe(true).error(), Error::NotFound);
  EXPECT_EQ(VPciFunction(bridge, sink).probe(true).error(), Error::NotSupported);
}

TEST(VPciProbe, FindsMemoryThatHasNoAddress) {
  FakeSink sink;
  FakePci hardware;
  hardware.bar(0, 1, 0xffff'ff80);
  hardware.bar(1, 0, 0xffff'e000);
  VPciFunction function(hardware, sink);
  ASSERT_TRUE(function.probe(true));
  ASSERT_EQ(function.bars().size(), 2U) << "ports that nobody placed are of no use";
  EXPECT_EQ(function.bars()[0].bus, 0U);
  EXPECT_EQ(function.bars()[0].size, 0x2000U);
}

TEST(VPciProbe, EndsWithAListThatNeverDoes) {
  FakeSink sink;
  FakePci hardware;
  hardware.put(FakePci::kMsix, 0x0003'0011 | FakePci::kPower << 8);
  VPciFunction function(hardware, sink);
  EXPECT_TRUE(function.probe(true));
  EXPECT_EQ(function.message_count(), 4U);
}

TEST(VPciProbe, DoesWithoutATableThatIsNowhere) {
  FakeSink sink;
  FakePci hardware;
  hardware.put(FakePci::kMsix + 4, 0x1ff8 | 1);
  VPciFunction function(hardware, sink);
  EXPECT_TRUE(function.probe(true));
  EXPECT_EQ(function.message_count(), 1U) << "MSI is left";
  find_bars(function);
  function.attach(std::span(kHost).first(1));
  function.write(FakePci::kMsix + 2, 2, 0x8000);
  EXPECT_EQ(hardware.word(FakePci::kMsix) >> 31, 0U);
}

constexpr u64 kWindow = 0xe000'0000, kHighWindow = 0x8'0000'0000;

class VPciBusTest : public VPci {
 protected:
  void SetUp() override {
    VPci::SetUp();
    ASSERT_TRUE(bus.add(function));
    ASSERT_TRUE(bus.add_window({.bus = kWindow, .base = kWindow, .size = 0x1ec0'0000}));
    ASSERT_TRUE(bus.add_window({.bus = kHighWindow, .base = kHighWindow, .size = 1_MiB}));
    ASSERT_TRUE(bus.add_window({.bus = 0x1000, .base = 0x1000, .size = 0xf000, .is_port = true}));
    space.ram.push_back({Gpa(0xe800'0000), 16_MiB});
  }
  u32 by_port(u32 address, u32 offset, u32 size) {
    bus.port_write(0, 4, address);
    return bus.port_read(4 + offset, size);
  }
  void write(u32 offset, u32 size, u32 value) { bus.write(0x8000 | offset, size, value); }
  bool is_mapped(u64 gpa, u64 hpa, u64 size) {
    const auto at = space.mapped.find(gpa);
    return at != space.mapped.end() && at->second == HpaRange{Hpa(hpa), size};
  }
  FakeSpace space;
  VPciBus bus{space};
};

TEST_F(VPciBusTest, WhatTheGuestMayTouchIsMappedAndWhatIsMediatedIsNot) {
  EXPECT_TRUE(bus.start());
  EXPECT_EQ(space.mapped.size(), 2U);
  EXPECT_TRUE(is_mapped(FakePci::kTable + 0x1000, FakePci::kTable + 0x1000, 0x1000)) << "behind the table";
  EXPECT_TRUE(is_mapped(FakePci::kRegisters, FakePci::kRegisters, 0x4000));
  EXPECT_EQ(space.ports.size(), 128U);
  EXPECT_EQ(*bus.memory_read(Gpa(FakePci::kTable + 0x80c), 4), 1U) << "the table comes here";
  EXPECT_TRUE(bus.memory_write(Gpa(FakePci::kTable + 0x808), 4, 0x4041));
  EXPECT_EQ(*bus.memory_read(Gpa(FakePci::kTable + 0x808), 4), 0x4041U);
}

TEST_F(VPciBusTest, MemoryGoesWhereTheGuestPutsIt) {
  ASSERT_TRUE(bus.start());
  write(0x14, 4, 0xe123'4000);
  EXPECT_TRUE(is_mapped(0xe123'5000, FakePci::kTable + 0x1000, 0x1000));
  EXPECT_EQ(space.mapped.size(), 2U) << "and is gone from where it was";
  EXPECT_EQ(*bus.memory_read(Gpa(0xe123'480c), 4), 1U);
  EXPECT_EQ(hardware.word(0x14), FakePci::kTable) << "the hardware's stays";
  write(kCommand, 2, 0);
  EXPECT_TRUE(space.mapped.empty() && space.ports.empty()) << "nothing is decoded";
  EXPECT_EQ(*bus.memory_read(Gpa(0xe123'480c), 4), ~u32{0});
  write(kCommand, 2, kMemory);
  EXPECT_EQ(space.mapped.size(), 2U);
}

TEST_F(VPciBusTest, NothingAppearsInRamOrOutsideTheWindows) {
  ASSERT_TRUE(bus.start());
  write(0x14, 4, 0xe800'0000);
  EXPECT_EQ(space.mapped.size(), 1U);
  write(0x14, 4, 0x1000'0000);
  EXPECT_EQ(space.mapped.size(), 1U);
  EXPECT_FALSE(bus.memory_read(Gpa(0x1000'080c), 4).has_value());
  EXPECT_FALSE(bus.memory_write(Gpa(0x1000'080c), 4, 0));
  write(0x24, 4, 0x7f);
  EXPECT_TRUE(space.mapped.empty());
  write(0x24, 4, 8);
  write(0x14, 4, FakePci::kTable);
  EXPECT_EQ(space.mapped.size(), 2U) << "and it can come back";
}

TEST_F(VPciBusTest, MemoryInAnotherFunctionsPlaceIsReachedOnceThatHasGone) {
  ASSERT_TRUE(bus.start());
  write(0x20, 4, 0xfebd'0000);
  write(0x24, 4, 0);
  EXPECT_EQ(space.mapped.size(), 1U) << "16 KiB around the 8 KiB that are there already";
  EXPECT_TRUE(bus.memory_write(Gpa(0xfebd'0010), 4, 0x55));
  EXPECT_EQ(hardware.memory[FakePci::kRegisters + 0x10], 0x55U) << "with an exit";
  write(0x14, 4, 0xe000'0000);
  EXPECT_TRUE(is_mapped(0xfebd'0000, FakePci::kRegisters, 0x4000));
}

TEST_F(VPciBusTest, WithoutRoomForTablesItStillWorks) {
  ASSERT_TRUE(bus.start());
  space.tables = 0;
  write(0x20, 4, 0xe000'0000);
  write(0x24, 4, 0);
  EXPECT_EQ(space.mapped.size(), 1U);
  EXPECT_TRUE(bus.memory_write(Gpa(0xe000'0010), 8, 0x1122'3344'5566'7788));
  EXPECT_EQ(hardware.memory[FakePci::kRegisters + 0x14], 0x1122'3344U);
  EXPECT_EQ(*bus.memory_read(Gpa(0xe000'0010), 8), 0x1122'3344'5566'7788U);
}

TEST_F(VPciBusTest, PortsAreFollowedWhereTheGuestMovesThem) {
  ASSERT_TRUE(bus.start());
  EXPECT_EQ(bus.machine_port(0xc010, 4), 0xc010);
  EXPECT_FALSE(bus.machine_port(0xc07e, 4).has_value()) << "beyond the end";
  write(0x10, 4, 0xd000);
  EXPECT_TRUE(space.ports.empty());
  EXPECT_EQ(bus.machine_port(0xd012, 2), 0xc012);
  EXPECT_FALSE(bus.machine_port(0xc012, 2).has_value());
  write(0x10, 4, 0x380);
  EXPECT_FALSE(bus.machine_port(0x3f8, 1).has_value()) << "where a PC has its own devices";
  write(0x10, 4, 0xc000);
  EXPECT_EQ(space.ports.size(), 128U);
}

TEST_F(VPciBusTest, DoesNotStartWhereTheGuestHasMemory) {
  space.ram.push_back({Gpa(0xfe00'0000), 16_MiB});
  EXPECT_FALSE(bus.start());
}

TEST(VPciBusPlacement, ASmallRangeIsReachedByExitsAlone) {
  FakeSink sink;
  FakeSpace space;
  FakePci hardware;
  hardware.bar(1, 0xe000'0100, 0xffff'ff00);
  hardware.put(FakePci::kMsix + 4, 1 | 0x1000);  // nowhere
  VPciFunction function(hardware, sink);
  ASSERT_TRUE(function.probe(false));
  find_bars(function);
  function.attach({});
  VPciBus bus(space);
  ASSERT_TRUE(bus.add(function));
  ASSERT_TRUE(bus.add_window({.bus = 0, .base = 0, .size = 0x10'0000'0000}));
  EXPECT_TRUE(bus.start());
  EXPECT_EQ(space.mapped.size(), 1U) << "the other one";
  EXPECT_TRUE(bus.memory_write(Gpa(0xe000'0104), 2, 0x77));
  EXPECT_EQ(hardware.memory[0xe000'0104], 0x77U);
}

TEST(PciWindows, TranslateBetweenTheBusAndTheCpu) {
  constexpr PciWindow kWindows[] = {{.bus = 0xc000'0000, .base = 0x6'0000'0000, .size = 1_GiB}, {.size = 0x1'0000, .is_port = true}};
  EXPECT_EQ(pci_address_of(kWindows, false, 0xc000'1000, 0x1000), 0x6'0000'1000U);
  EXPECT_EQ(pci_address_of(kWindows, false, 0xffff'f000, 0x2000), std::nullopt) << "sticks out";
  EXPECT_EQ(pci_address_of(kWindows, true, 0xc000, 8), 0xc000U);
  EXPECT_EQ(pci_address_of(kWindows, false, 0xc000, 8), std::nullopt);
  EXPECT_EQ(pci_bus_address_of(kWindows, 0x6'3fff'fff8, 8), 0xffff'fff8U);
  EXPECT_EQ(pci_bus_address_of(kWindows, ~u64{0}, 8), std::nullopt);
}

TEST(PciWindows, HaveRoomFromTheTopAndBelow4GiBFirst) {
  constexpr PciWindow kWindows[] = {{.bus = 0x1000'0000, .base = 0x1000'0000, .size = 0x2eff'0000},
                                    {.bus = 0x80'0000'0000, .base = 0x80'0000'0000, .size = 1_GiB}};
  EXPECT_EQ(find_pci_room(kWindows, {}, 0x4000, true), 0x3efe'c000U);
  std::vector<PciBusRange> taken;
  for (int i = 0; i < 64; ++i) {
    const auto place = find_pci_room(kWindows, taken, i % 2 != 0 ? 0x4000 : 0x100, false);
    ASSERT_TRUE(place.has_value());
    for (const PciBusRange& other : taken) EXPECT_FALSE(other.overlaps({*place, 0x4000}) && i % 2 != 0);
    taken.push_back(widest_at(*place));
  }
  EXPECT_GT(taken.back().base, 0x3ee0'0000U) << "little is wasted";
  EXPECT_EQ(find_pci_room(kWindows, taken, 1_GiB, true), 0x80'0000'0000U);
  EXPECT_EQ(find_pci_room(kWindows, taken, 1_GiB, false), std::nullopt);
  EXPECT_EQ(find_pci_room(kWindows, taken, u64{1} << 63, true), std::nullopt);
}

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
