// A PCI function with registers as the specification has them: sized ranges, a list of capabilities, an MSI-X table.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "hypervisor/device/pci/vpci_bus.hpp"

namespace hv::test {

class FakePci final : public PciHardware {
 public:
  static constexpr u64 kTable = 0xfebd'2000, kRegisters = 0x8'0000'4000;
  static constexpr u16 kPorts = 0xc000;
  static constexpr u8 kPower = 0x40, kExpress = 0x50, kVendor = 0x90, kMsi = 0xa0, kMsix = 0xc0;

  FakePci() {
    put(0x00, 0x1001'1af4);
    put(0x04, 0x0010'0000);  // there are capabilities
    put(0x08, 0x0100'0000);
    put(0x0c, 0x0080'0000);  // several functions
    put(0x2c, 0x0002'1af4);
    put(0x34, kPower);
    put(0x3c, 0x0100'010b);
    bar(0, kPorts | 1, 0xffff'ff80);         // 128 I/O ports
    bar(1, kTable, 0xffff'e000);             // 8 KiB
    bar(4, 0x0000'400c, 0xffff'c000);        // 16 KiB, 64 bits, prefetchable
    bar(5, 0x8, 0xffff'ffff);
    put(kPower, 0x0003'0001 | kExpress << 8);
    put(kExpress, 0x0002'0010 | kVendor << 8);
    put(kVendor, 0x0110'0009 | kMsi << 8);
    put(kVendor + 4, 4);
    put(kMsi, 0x0186'0005 | kMsix << 8);     // 8 messages, 64 bits, maskable
    put(kMsix, 0x8003'0011 & 0x7fff'ffff);   // 4 entries
    put(kMsix + 4, 0x800 | 1);
    put(kMsix + 8, 0x1000 | 1);
  }

  u32 read_config(u32 offset, u32 size) override {
    u32 value = 0;
    std::memcpy(&value, &config[offset], size);
    return value;
  }
  void write_config(u32 offset, u32 size, u32 value) override {
    writes.push_back({offset, value});
    for (u32 i = 0; i < size; ++i) config[offset + i] = static_cast<u8>((value >> i * 8 & mask[offset + i]) | (config[offset + i] & ~mask[offset + i]));
  }
  u32 read_memory(Hpa address, u32) override { return memory[address.value()]; }
  void write_memory(Hpa address, u32, u32 value) override { memory[address.value()] = value; }
  void wait_for_reset() override { ++resets; }

  u32 word(u32 offset) { return read_config(offset, 4); }
  void put(u32 offset, u32 value) {
    std::memcpy(&config[offset], &value, 4);
    const u32 writable = offset == 4 ? 0xffff : offset >= kMsi && offset < kMsi + 24 ? ~0u : 0;
    std::memcpy(&mask[offset], &writable, 4);
    for (u32 at = kMsi; at < kMsi + 24u; ++at) mask[at] = at < kMsi + 2u ? 0 : 0xff;
    mask[kMsix + 3] = 0xc0;
    mask[kExpress + 9] = 0x80;
  }
  void bar(unsigned index, u64 value, u32 writable) {
    const u32 low = static_cast<u32>(value);
    std::memcpy(&config[0x10 + index * 4], &low, 4);
    std::memcpy(&mask[0x10 + index * 4], &writable, 4);
  }

  std::array<u8, 256> config{};
  std::array<u8, 256> mask{};
  std::map<u64, u32> memory;
  std::vector<std::pair<u32, u32>> writes;
  unsigned resets = 0;
};

/// A guest's address space: where it has RAM nothing else can be.
class FakeSpace final : public PciSpace {
 public:
  bool map(GpaRange range, Hpa target) override {
    EXPECT_TRUE(range.base.is_aligned(kPageSize) && is_aligned(range.size, kPageSize) && target.is_aligned(kPageSize));
    if (tables == 0) return false;
    for (const GpaRange& other : ram)
      if (other.overlaps(range)) return false;
    for (const auto& [base, other] : mapped)
      if (GpaRange{Gpa(base), other.size}.overlaps(range)) return false;
    mapped[range.base.value()] = {target, range.size};
    return true;
  }
  void unmap(GpaRange range) override {
    const auto at = mapped.find(range.base.value());
    ASSERT_TRUE(at != mapped.end() && at->second.size == range.size) << "what is not mapped is not to be unmapped";
    mapped.erase(at);
  }
  bool open_ports(u16 first, u32 count, bool open) override {
    for (u32 port = first; port < first + count; ++port) EXPECT_NE(ports.contains(static_cast<u16>(port)), open);
    for (u32 port = first; port < first + count; ++port) open ? (void)ports.insert(static_cast<u16>(port)) : (void)ports.erase(static_cast<u16>(port));
    return true;
  }

  std::vector<GpaRange> ram;
  std::map<u64, HpaRange> mapped;
  std::set<u16> ports;
  unsigned tables = 1;
};

struct FakeSink final : PciMessageSink {
  void send(const PciMessage& message) override { sent.push_back(message); }
  std::vector<PciMessage> sent;
};

}  // namespace hv::test
