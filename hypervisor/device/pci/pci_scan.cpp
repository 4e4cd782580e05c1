#include "hypervisor/device/pci/pci_scan.hpp"

namespace hv {

Result<HpaRange> PciScan::registers() const {
  constexpr u64 kBusSize = kDevices * kFunctions * drivers::PciEcam::kFunctionSize;
  return HpaRange{TRY(ecam_.registers_of({segment_, bus_, 0, 0})).base, kBusSize};
}

PciScan::MemoryBar PciScan::memory_bar(const drivers::PciFunction& f, u32 offset) const {
  constexpr u32 kIsPort = 1, kTypeMask = 6, k64Bit = 4, kFlags = 0xf;
  const u32 low = read(f, offset, 4);
  if ((low & kIsPort) != 0) return {};
  const bool is_64bit = (low & kTypeMask) == k64Bit;
  return {offset, is_64bit, (low & ~kFlags) | (is_64bit ? u64{read(f, offset + 4, 4)} << 32 : 0)};
}

PciScan::Taken PciScan::taken() const {
  constexpr u32 kMemoryWindow = 0x20, kPrefetchableWindow = 0x24, kBaseUpper = 0x28, kLimitUpper = 0x2c;
  Taken taken;
  for_each_function([&](const drivers::PciFunction& f, u8 type) {
    for_each_memory_bar(f, type, [&](const MemoryBar& bar) {
      if (bar.bus != 0) static_cast<void>(taken.push_back(widest_at(bar.bus)));
    });
    if (type != kBridge) return;
    // Base and limit, in MiB; one that ends before it begins is closed, and so is one that nobody has set.
    for (const u32 offset : {kMemoryWindow, kPrefetchableWindow}) {
      const auto upper = [&](u32 half) { return offset == kMemoryWindow ? 0 : u64{read(f, half, 4)} << 32; };
      const u32 window = read(f, offset, 4);
      const u64 first = upper(kBaseUpper) | (window & 0xfff0) << 16,
                last = upper(kLimitUpper) | (window & 0xfff0'0000) | 0xf'ffff;
      if (first != 0 && first < last) static_cast<void>(taken.push_back({first, last - first + 1}));
    }
  });
  return taken;
}

}  // namespace hv
