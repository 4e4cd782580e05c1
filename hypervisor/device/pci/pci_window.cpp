#include "hypervisor/device/pci/pci_window.hpp"

#include <algorithm>

namespace hv {
namespace {

constexpr u64 k4GiB = u64{1} << 32;

constexpr bool holds(u64 base, u64 size, u64 at, u64 count) { return at >= base && count <= size && at - base <= size - count; }

/// The highest place in [`first`, `end`) of the bus.
std::optional<u64> find_below(u64 first, u64 end, std::span<const PciBusRange> taken, u64 size) {
  while (end > first && end - first >= size) {
    const PciBusRange place{align_down(end - size, size), size};
    if (place.base < first) return std::nullopt;
    const auto other = std::ranges::find_if(taken, [&](const PciBusRange& t) { return t.overlaps(place); });
    if (other == taken.end()) return place.base;
    end = other->base;  // lower than the end before: it overlaps what ends there
  }
  return std::nullopt;
}

}  // namespace

std::optional<u64> pci_address_of(std::span<const PciWindow> windows, bool is_port, u64 bus, u64 size) {
  for (const PciWindow& w : windows)
    if (w.is_port == is_port && holds(w.bus, w.size, bus, size)) return w.base + (bus - w.bus);
  return std::nullopt;
}

std::optional<u64> pci_bus_address_of(std::span<const PciWindow> windows, u64 address, u64 size) {
  for (const PciWindow& w : windows)
    if (!w.is_port && holds(w.base, w.size, address, size)) return w.bus + (address - w.base);
  return std::nullopt;
}

std::optional<u64> find_pci_room(std::span<const PciWindow> windows, std::span<const PciBusRange> taken, u64 size, bool is_64bit) {
  for (const bool high : {false, true}) {
    if (high && !is_64bit) break;
    for (const PciWindow& w : windows) {
      if (w.is_port) continue;
      const u64 first = high ? std::max(w.bus, k4GiB) : std::max(w.bus, size);  // 0 is no address
      const u64 end = high ? w.bus + w.size : std::min(w.bus + w.size, k4GiB);
      if (const auto place = find_below(first, end, taken, std::max(size, kPageSize))) return place;
    }
  }
  return std::nullopt;
}

}  // namespace hv
