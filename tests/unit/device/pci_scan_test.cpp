#include "hypervisor/device/pci/pci_scan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <arch/mmio.hpp>

#include <map>
#include <vector>

namespace hv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr acpi::PciSegment kSegment{.registers = {Hpa(0x3000'0000), 2_MiB}, .segment = 7, .first_bus = 4, .last_bus = 5};
constexpr u32 kMemoryFrom4G = 0x4, kPrefetchable = 0x8, kPorts = 0x1;

/// Configuration space in which nobody answers but the functions that a test adds.
class FakeSpace : public arch::fake::Bus {
 public:
  FakeSpace() { arch::fake::bus = this; }
  ~FakeSpace() override { arch::fake::bus = nullptr; }

  void add(u8 bus, u8 device, u8 function, u8 header) {
    const u64 at = base(bus, device, function);
    for (u64 i = 0; i < 64; ++i) bytes_[at + i] = 0;
    put(bus, device, function, 0, 0x1234'1af4);
    bytes_[at + 0xe] = header;
  }
  void put(u8 bus, u8 device, u8 function, u32 offset, u32 value) {
    for (u32 i = 0; i < 4; ++i) bytes_[base(bus, device, function) + offset + i] = static_cast<u8>(value >> 8 * i);
  }

  u64 read(u64 address, unsigned bytes) override {
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= u64{bytes_.contains(address + i) ? bytes_[address + i] : u8{0xff}} << 8 * i;
    return value;
  }
  void write(u64, unsigned, u64) override { ADD_FAILURE() << "it only reads"; }

 private:
  static u64 base(u8 bus, u8 device, u8 function) {
    return kSegment.registers.base.value() + (u64{bus} - kSegment.first_bus) * 1_MiB + device * 0x8000u + function * 0x1000u;
  }
  std::map<u64, u8> bytes_;
};

class PciScanTest : public ::testing::Test {
 protected:
  static std::vector<int> functions_of(u8 bus) {
    std::vector<int> out;
    PciScan(kSegment, bus).for_each_function([&](const drivers::PciFunction& f, u8 type) {
      EXPECT_EQ(f.segment, 7);
      EXPECT_EQ(f.bus, bus);
      out.push_back(f.device * 100 + f.function * 10 + type);
    });
    return out;
  }
  static std::vector<u64> bars_of(u8 type) {
    std::vector<u64> out;
    PciScan(kSegment, 4).for_each_memory_bar({7, 4, 2, 0}, type, [&](const PciScan::MemoryBar& bar) {
      out.push_back(bar.offset);
      out.push_back(bar.bus);
    });
    return out;
  }

  FakeSpace space;
};

TEST_F(PciScanTest, SaysWhereABusHasItsRegisters) {
  EXPECT_EQ(*PciScan(kSegment, 5).registers(), (HpaRange{Hpa(0x3010'0000), 1_MiB}));
  EXPECT_FALSE(PciScan(kSegment, 6).registers().has_value());
}

TEST_F(PciScanTest, FindsFunctionsOfTheirBusAndLooksForMoreWhereTheFirstSaysSo) {
  EXPECT_THAT(functions_of(4), IsEmpty());
  space.add(4, 0, 0, 0);
  space.add(4, 0, 1, 0);  // of a device with one function: an echo of it on some machines
  space.add(4, 31, 0, 0x80);
  space.add(4, 31, 7, 1);
  space.add(5, 3, 0, 0);
  EXPECT_THAT(functions_of(4), ElementsAre(0, 3100, 3171));
  EXPECT_THAT(functions_of(5), ElementsAre(300));
  space.put(4, 31, 7, 0x18, 0x05'05'04);
  EXPECT_EQ(PciScan(kSegment, 4).bus_behind({7, 4, 31, 7}), 5);
}

TEST_F(PciScanTest, ReadsMemoryRangesOfBothSizesAndNoPorts) {
  space.add(4, 2, 0, 0);
  space.put(4, 2, 0, 0x10, 0xfe00'0000 | kPrefetchable);
  space.put(4, 2, 0, 0x14, 0xc000 | kPorts);
  space.put(4, 2, 0, 0x18, 0x4000'0000 | kMemoryFrom4G);
  space.put(4, 2, 0, 0x1c, 0x8);
  space.put(4, 2, 0, 0x24, 0xfe10'0000 | kMemoryFrom4G);  // the last one has no upper half
  space.put(4, 2, 0, 0x28, 0xffff'ffff);
  EXPECT_THAT(bars_of(PciScan::kEndpoint)[1], 0xfe00'0000u);
  const std::vector<u64> bars = bars_of(PciScan::kEndpoint);
  EXPECT_EQ(std::vector<u64>(bars.begin(), bars.begin() + 6),
            (std::vector<u64>{0x10, 0xfe00'0000, 0x18, 0x8'4000'0000, 0x20, 0}));
  EXPECT_THAT(bars_of(PciScan::kBridge), ElementsAre(0x10, 0xfe00'0000));
}

TEST_F(PciScanTest, CountsWhatBridgesTakeForOthers) {
  space.add(4, 1, 0, 1);
  space.put(4, 1, 0, 0x20, 0xc010'c000);  // 0xc000'0000 to 0xc01f'ffff
  space.put(4, 1, 0, 0x24, 0x0001'fff1);  // closed: it ends before it begins
  space.add(4, 2, 0, 0);
  space.put(4, 2, 0, 0x10, 0xfe00'4000);
  const PciScan::Taken taken = PciScan(kSegment, 4).taken();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].base, 0xc000'0000u);
  EXPECT_EQ(taken[0].size, 0x20'0000u);
  EXPECT_EQ(taken[1].base, 0xfe00'4000u);
  EXPECT_EQ(taken[1].size, 0x4000u);
  space.put(4, 1, 0, 0x24, 0x0011'0001);  // 64 bits wide: 0x2'0000'0000 to 0x2'001f'ffff
  space.put(4, 1, 0, 0x28, 0x2);
  space.put(4, 1, 0, 0x2c, 0x2);
  const PciScan::Taken more = PciScan(kSegment, 4).taken();
  ASSERT_EQ(more.size(), 3u);
  EXPECT_EQ(more[1].base, 0x2'0000'0000u);
  EXPECT_EQ(more[1].size, 0x20'0000u);
}

}  // namespace
}  // namespace hv
