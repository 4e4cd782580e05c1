// What is on a bus of the machine, as its configuration space says (PCI 3.0 6.1; PCI-to-PCI Bridge 1.2 3.2).
#pragma once

#include "hypervisor/device/pci/pci_window.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/drivers/pci_ecam.hpp"

namespace hv {

/// Reads only. registers() are mapped as device memory, at VA = PA, before anything else is asked.
class PciScan {
 public:
  /// A memory range that a function can be given: where its register is in configuration space, and what it says.
  struct MemoryBar {
    u32 offset = 0;
    bool is_64bit = false;
    u64 bus = 0;  ///< its first address on the bus; 0: none yet
  };
  static constexpr u8 kEndpoint = 0, kBridge = 1;  ///< types of headers
  static constexpr usize kMaxTaken = 192;
  using Taken = StaticVector<PciBusRange, kMaxTaken>;

  PciScan(const acpi::PciSegment& segment, u8 bus) : ecam_(segment), segment_(segment.segment), bus_(bus) {}

  /// Configuration space of the bus. Error: OutOfRange (the segment has no such bus).
  Result<HpaRange> registers() const;

  /// Calls `action(function, type of its header)` for every function.
  template <class Action>
  void for_each_function(Action&& action) const {
    for (u8 device = 0; device < kDevices; ++device) {
      u8 functions = 1;
      for (u8 number = 0; number < functions; ++number) {
        const drivers::PciFunction f{segment_, bus_, device, number};
        if (read(f, kVendor, 2) == kNobody) continue;
        const u32 type = read(f, kHeaderType, 1);
        if (number == 0 && (type & kMultiFunction) != 0) functions = kFunctions;
        action(f, static_cast<u8>(type & ~kMultiFunction));
      }
    }
  }

  /// Calls `action(bar)` for every memory range of `f`, whose header is of type `type`.
  template <class Action>
  void for_each_memory_bar(const drivers::PciFunction& f, u8 type, Action&& action) const {
    for (u32 i = 0; i < (type == kBridge ? kBridgeBars : kEndpointBars); ++i) {
      const MemoryBar bar = memory_bar(f, kBars + i * 4);
      if (bar.offset != 0) action(bar);
      i += bar.is_64bit;
    }
  }

  /// The bus behind a bridge.
  u8 bus_behind(const drivers::PciFunction& bridge) const { return static_cast<u8>(read(bridge, kSecondaryBus, 1)); }

  /// What functions on the bus, and bridges for what is behind them, may answer to. Sizes cannot be asked of functions that others
  /// use: an address says how large a range can be at most.
  Taken taken() const;

 private:
  static constexpr u32 kVendor = 0x00, kHeaderType = 0x0e, kBars = 0x10, kSecondaryBus = 0x19;
  static constexpr u32 kNobody = 0xffff, kMultiFunction = 0x80;
  static constexpr u32 kEndpointBars = 6, kBridgeBars = 2;
  static constexpr u8 kDevices = 32, kFunctions = 8;

  u32 read(const drivers::PciFunction& f, u32 offset, u32 bytes) const { return ecam_.read(f, offset, bytes).value_or(~u32{0}); }
  /// The one whose register is at `offset`; offset 0: that one is for ports.
  MemoryBar memory_bar(const drivers::PciFunction& f, u32 offset) const;

  drivers::PciEcam ecam_;
  u16 segment_;
  u8 bus_;
};

}  // namespace hv
