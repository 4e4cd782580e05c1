// A PC's memory as firmware and boot loader leave it, for parsers of ACPI tables and boot information.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/mm/physical_window.hpp"

namespace ax::test {

using Blob = std::vector<std::byte>;

/// Appends little-endian numbers and text.
class BlobWriter {
 public:
  template <class T>
  BlobWriter& add(T value) {
    const usize at = blob.size();
    blob.resize(at + sizeof value);
    std::memcpy(blob.data() + at, &value, sizeof value);
    return *this;
  }
  BlobWriter& text(std::string_view s) {
    for (char c : s) blob.push_back(static_cast<std::byte>(c));
    return *this;
  }
  BlobWriter& zeros(usize n) {
    blob.resize(blob.size() + n);
    return *this;
  }
  template <class T>
  BlobWriter& set(usize offset, T value) {
    if (blob.size() < offset + sizeof value) blob.resize(offset + sizeof value);
    std::memcpy(blob.data() + offset, &value, sizeof value);
    return *this;
  }

  Blob blob;
};

/// Each read is a block of its own on the heap, so that a sanitizer sees the first byte that is read too far.
class FakePhysicalMemory final : public mm::PhysicalWindow {
 public:
  void put(u64 address, Blob bytes) { regions[address] = std::move(bytes); }
  void put(u64 address, const BlobWriter& writer) { put(address, writer.blob); }

  std::span<const std::byte> read(Hpa address, u64 size) const override {
    auto region = regions.upper_bound(address.value());
    if (region == regions.begin()) return {};
    --region;
    const u64 offset = address.value() - region->first;
    if (offset > region->second.size() || size > region->second.size() - offset || size == 0) return {};
    copies_.push_back(std::make_unique<std::byte[]>(size));
    std::memcpy(copies_.back().get(), region->second.data() + offset, size);
    return {copies_.back().get(), size};
  }

  std::map<u64, Blob> regions;

 private:
  mutable std::vector<std::unique_ptr<std::byte[]>> copies_;
};

inline void fix_checksum(Blob& blob, usize offset, usize size) {
  u8 sum = 0;
  blob[offset] = std::byte{0};
  for (usize i = 0; i < size && i < blob.size(); ++i) sum = static_cast<u8>(sum + static_cast<u8>(blob[i]));
  blob[offset] = static_cast<std::byte>(-sum);
}

constexpr usize kTableLength = 4, kTableChecksum = 9, kTableHeader = 36;

/// A table with the right length and checksum; `body` follows the header.
inline Blob acpi_table(std::string_view signature, const Blob& body) {
  BlobWriter table;
  table.text(signature).zeros(kTableHeader - 4);
  table.blob.insert(table.blob.end(), body.begin(), body.end());
  table.set(kTableLength, static_cast<u32>(table.blob.size()));
  fix_checksum(table.blob, kTableChecksum, table.blob.size());
  return table.blob;
}

/// Where the tables of fake_pc() are.
namespace at {
inline constexpr u64 kRsdp = 0xf'5000, kRsdt = 0x7fe'0000, kXsdt = 0x7fe'1000, kMadt = 0x7fe'2000, kFadt = 0x7fe'3000,
                     kDsdt = 0x7fe'4000, kMcfg = 0x7fe'5000, kHpet = 0x7fe'6000;
}  // namespace at

inline Blob madt_body() {
  BlobWriter m;
  m.add<u32>(0xfee0'0000).add<u32>(1);
  for (u8 id : {0, 1, 2, 3})
    m.add<u8>(0).add<u8>(8).add<u8>(static_cast<u8>(id + 10)).add<u8>(id).add<u32>(id == 3 ? 0 : 1);  // 3 is disabled
  m.add<u8>(9).add<u8>(16).add<u16>(0).add<u32>(300).add<u32>(1).add<u32>(77);
  m.add<u8>(1).add<u8>(12).add<u8>(5).add<u8>(0).add<u32>(0xfec0'0000).add<u32>(0);
  m.add<u8>(2).add<u8>(10).add<u8>(0).add<u8>(0).add<u32>(2).add<u16>(0);    // IRQ 0 is GSI 2
  m.add<u8>(2).add<u8>(10).add<u8>(0).add<u8>(9).add<u32>(9).add<u16>(0xf);  // IRQ 9 is level, active low
  m.add<u8>(4).add<u8>(6).add<u8>(0xff).add<u16>(0).add<u8>(1);              // an NMI: of no interest
  return m.blob;
}

inline Blob fadt_body() {
  BlobWriter f;
  f.zeros(244 - kTableHeader);
  const auto field = [&](usize offset, auto value) { f.set(offset - kTableHeader, value); };
  field(40, u32{at::kDsdt});
  field(46, u16{9});
  field(48, u32{0xb2});
  field(52, u8{2});
  field(64, u32{0x604});
  field(76, u32{0x608});
  field(112, u32{1 << 10});
  field(116, u8{1});
  field(120, u64{0xcf9});
  field(128, u8{0xf});
  return f.blob;
}

inline Blob dsdt_body() {
  BlobWriter d;
  d.text("_S5").add<u8>(0);      // not the name
  d.text("_S5_").add<u8>(0x70);  // the name, but no package
  d.add<u8>(0x08)
      .text("_S5_")
      .add<u8>(0x12)
      .add<u8>(0x08)
      .add<u8>(4)
      .add<u8>(0x0a)
      .add<u8>(5)
      .add<u8>(0x01)
      .add<u8>(0)
      .add<u8>(0);
  return d.blob;
}

inline Blob mcfg_body() {
  BlobWriter m;
  m.zeros(8).add<u64>(0xb000'0000).add<u16>(0).add<u8>(0).add<u8>(255).add<u32>(0);
  return m.blob;
}

inline Blob hpet_body() {
  BlobWriter h;
  h.add<u32>(0x8086'a201).add<u8>(0).add<u8>(64).add<u8>(0).add<u8>(0).add<u64>(0xfed0'0000);
  return h.blob;
}

inline Blob root_pointer(u8 revision) {
  BlobWriter r;
  r.text("RSD PTR ").zeros(28);
  r.set(15, revision).set(16, u32{at::kRsdt}).set(20, u32{36}).set(24, u64{at::kXsdt});
  fix_checksum(r.blob, 8, 20);
  fix_checksum(r.blob, 32, 36);
  return r.blob;
}

/// QEMU's q35 in essence. The XSDT lists one table more than the RSDT: the HPET's.
inline FakePhysicalMemory fake_pc(u8 revision = 2) {
  FakePhysicalMemory memory;
  BlobWriter xsdt, rsdt;
  for (u64 table : {at::kMadt, at::kFadt, at::kMcfg}) {
    xsdt.add<u64>(table);
    rsdt.add<u32>(static_cast<u32>(table));
  }
  xsdt.add<u64>(at::kHpet);
  memory.put(at::kRsdp, root_pointer(revision));
  memory.put(at::kXsdt, acpi_table("XSDT", xsdt.blob));
  memory.put(at::kRsdt, acpi_table("RSDT", rsdt.blob));
  memory.put(at::kMadt, acpi_table("APIC", madt_body()));
  memory.put(at::kFadt, acpi_table("FACP", fadt_body()));
  memory.put(at::kDsdt, acpi_table("DSDT", dsdt_body()));
  memory.put(at::kMcfg, acpi_table("MCFG", mcfg_body()));
  memory.put(at::kHpet, acpi_table("HPET", hpet_body()));
  return memory;
}

// ---- boot information ----

inline constexpr u64 kInfo = 0x9000, kMap = 0x9200, kTexts = 0x9400, kModules = 0x9600;

struct MapEntry {
  u64 base;
  u64 size;
  u32 type;
};
inline constexpr MapEntry kMemoryMap[] = {{0, 0x9'fc00, 1},
                                          {0x9'fc00, 0x400, 2},
                                          {0x10'0000, 0x7ed'0000, 1},
                                          {0x7fe'0000, 0x2'0000, 3},
                                          {0x1'0000'0000, 0x4000'0000, 1}};

inline void put_texts(FakePhysicalMemory& memory) {
  BlobWriter texts;
  texts.text("log=debug").add<u8>(0).text("initrd").add<u8>(0);
  memory.put(kTexts, texts);
}

inline u64 put_multiboot1(FakePhysicalMemory& memory) {
  BlobWriter map, info, modules;
  for (const MapEntry& e : kMemoryMap) map.add<u32>(20).add<u64>(e.base).add<u64>(e.size).add<u32>(e.type);
  modules.add<u32>(0x20'0000).add<u32>(0x20'1234).add<u32>(kTexts + 10).add<u32>(0);
  info.zeros(120);
  info.set(0, u32{1 << 2 | 1 << 3 | 1 << 6}).set(16, u32{kTexts}).set(20, u32{1}).set(24, u32{kModules});
  info.set(44, static_cast<u32>(map.blob.size())).set(48, u32{kMap});
  memory.put(kInfo, info);
  memory.put(kMap, map);
  memory.put(kModules, modules);
  put_texts(memory);
  return kInfo;
}

inline u64 put_multiboot2(FakePhysicalMemory& memory) {
  BlobWriter info;
  const auto tag = [&](u32 type, const Blob& body) {
    info.add<u32>(type).add<u32>(static_cast<u32>(body.size() + 8));
    info.blob.insert(info.blob.end(), body.begin(), body.end());
    info.zeros(align_up(info.blob.size(), 8) - info.blob.size());
  };
  BlobWriter map, module, line;
  map.add<u32>(24).add<u32>(0);
  for (const MapEntry& e : kMemoryMap) map.add<u64>(e.base).add<u64>(e.size).add<u32>(e.type).add<u32>(0);
  module.add<u32>(0x20'0000).add<u32>(0x20'1234).text("initrd").add<u8>(0);
  info.add<u32>(0).add<u32>(0);
  tag(1, line.text("log=debug").add<u8>(0).blob);
  tag(3, module.blob);
  tag(6, map.blob);
  tag(14, root_pointer(0));
  tag(15, root_pointer(2));
  tag(0, {});
  info.set(0, static_cast<u32>(info.blob.size()));
  memory.put(kInfo, info);
  return kInfo;
}

inline u64 put_pvh(FakePhysicalMemory& memory) {
  BlobWriter info, map, modules;
  for (const MapEntry& e : kMemoryMap) map.add<u64>(e.base).add<u64>(e.size).add<u32>(e.type).add<u32>(0);
  modules.add<u64>(0x20'0000).add<u64>(0x1234).add<u64>(kTexts + 10).add<u64>(0);
  info.add<u32>(0x336e'c578)
      .add<u32>(1)
      .add<u32>(0)
      .add<u32>(1)
      .add<u64>(kModules)
      .add<u64>(kTexts)
      .add<u64>(at::kRsdp)
      .add<u64>(kMap);
  info.add<u32>(std::size(kMemoryMap)).add<u32>(0);
  memory.put(kInfo, info);
  memory.put(kMap, map);
  memory.put(kModules, modules);
  put_texts(memory);
  return kInfo;
}

}  // namespace ax::test
