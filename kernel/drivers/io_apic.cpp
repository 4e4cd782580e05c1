#include "kernel/drivers/io_apic.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

constexpr u64 kSelect = 0x00, kWindow = 0x10;
constexpr u32 kVersion = 0x01, kFirstEntry = 0x10;  // two registers per pin
constexpr u32 kActiveLow = 1 << 13, kLevel = 1 << 15, kMasked = 1 << 16;
constexpr unsigned kDestinationShift = 24;

}  // namespace

u32 IoApic::read(u32 index) const {
  arch::mmio_write32(base_ + kSelect, index);
  return arch::mmio_read32(base_ + kWindow);
}

void IoApic::write(u32 index, u32 value) const {
  arch::mmio_write32(base_ + kSelect, index);
  arch::mmio_write32(base_ + kWindow, value);
}

u32 IoApic::pins() const { return (read(kVersion) >> 16 & 0xff) + 1; }

void IoApic::init() {
  for (u32 pin = 0, count = pins(); pin < count; ++pin) set_route(gsi_base_ + pin, {});
}

void IoApic::set_route(u32 gsi, const Route& route) {
  const u32 entry = kFirstEntry + 2 * (gsi - gsi_base_);
  write(entry, kMasked);  // the halves are written one after the other
  write(entry + 1, u32{route.destination} << kDestinationShift);
  write(entry,
        route.vector | (route.active_low ? kActiveLow : 0) | (route.level ? kLevel : 0) | (route.masked ? kMasked : 0));
}

IoApic::Route IoApic::route(u32 gsi) const {
  const u32 entry = kFirstEntry + 2 * (gsi - gsi_base_);
  const u32 low = read(entry);
  return {.vector = static_cast<u8>(low),
          .destination = static_cast<u8>(read(entry + 1) >> kDestinationShift),
          .active_low = (low & kActiveLow) != 0,
          .level = (low & kLevel) != 0,
          .masked = (low & kMasked) != 0};
}

void IoApic::set_masked(u32 gsi, bool masked) {
  const u32 entry = kFirstEntry + 2 * (gsi - gsi_base_);
  const u32 low = read(entry);
  write(entry, masked ? low | kMasked : low & ~kMasked);
}

}  // namespace ax::drivers
