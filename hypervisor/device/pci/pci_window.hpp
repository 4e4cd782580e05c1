// Where the memory and ports of PCI functions may lie: the windows of their host bridge.
#pragma once

#include <optional>
#include <span>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// A part of the bus's address space that CPUs reach. The same for a guest as for the machine: the addresses that the bus has, and
/// those at which CPUs find them.
struct PciWindow {
  u64 bus = 0;   ///< first address on the bus
  u64 base = 0;  ///< where CPUs see it: a physical address (guest-physical for the guest), or a port
  u64 size = 0;
  bool is_port = false;
  bool prefetchable = false;
  constexpr bool is_64bit() const { return bus + size > u64{1} << 32; }
};

/// An interrupt line of a function: device and pin (1 to 4) as the guest sees them, and what it is called in the guest's machine.
struct GuestPciLine {
  u8 device = 0;
  u8 pin = 0;
  u32 line = 0;
  u32 machine_line = 0;
};

/// Addresses of the bus, all of them one after the other.
struct PciBusRange {
  u64 base = 0;
  u64 size = 0;
  constexpr bool overlaps(const PciBusRange& o) const { return base < o.base + o.size && o.base < base + size; }
};

/// Where CPUs find `size` bytes at `bus`; nothing when no window has all of them.
std::optional<u64> pci_address_of(std::span<const PciWindow> windows, bool is_port, u64 bus, u64 size);
/// The reverse of it.
std::optional<u64> pci_bus_address_of(std::span<const PciWindow> windows, u64 address, u64 size);

/// What a memory range at `bus`, of a size that is not known, can cover at most: addresses are multiples of sizes. `bus` is not 0.
constexpr PciBusRange widest_at(u64 bus) { return {bus, bus & -bus}; }

/// A place on the bus for a memory range of `size` bytes (a power of two): as high as possible, and below 4 GiB if there is room, so
/// that widest_at() of what was placed before wastes nothing. Nothing when it is full.
std::optional<u64> find_pci_room(std::span<const PciWindow> windows, std::span<const PciBusRange> taken, u64 size, bool is_64bit);

}  // namespace hv
