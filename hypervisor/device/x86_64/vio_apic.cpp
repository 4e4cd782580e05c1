#include "hypervisor/device/x86_64/vio_apic.hpp"

namespace hv {
namespace {

// 82093AA 3.1 and 3.2.
constexpr u32 kSelectOffset = 0x00;
constexpr u32 kWindowOffset = 0x10;
constexpr u8 kId = 0;
constexpr u8 kVersion = 1;
constexpr u8 kArbitration = 2;
constexpr u8 kFirstEntry = 0x10;
constexpr u32 kIdBits = 0x0f00'0000;
constexpr u32 kVersionValue = (VIoApic::kPins - 1) << 16 | 0x11;

// Redirection entries, 3.2.4.
constexpr u64 kLogical = 1u << 11;
constexpr u64 kRemoteIrr = 1u << 14;
constexpr u64 kLevel = 1u << 15;
constexpr u64 kMasked = 1u << 16;
constexpr u64 kWritable = 0xff00'0000'0001'afff;
constexpr unsigned kDestinationShift = 56;
constexpr u32 kPhysicalBroadcast = 0xff;

}  // namespace

void VIoApic::power_on() {
  entries_.fill(kMasked);
  lines_ = id_ = select_ = 0;
}

u32 VIoApic::mmio_read(u32 offset) const {
  if (offset == kSelectOffset) return select_;
  return offset == kWindowOffset ? read_register() : 0;
}

void VIoApic::mmio_write(u32 offset, u32 value) {
  if (offset == kSelectOffset) select_ = static_cast<u8>(value);
  if (offset == kWindowOffset) write_register(value);
}

u32 VIoApic::read_register() const {
  const unsigned half = static_cast<unsigned>(select_) - kFirstEntry;
  if (half < kPins * 2) return static_cast<u32>(entries_[half / 2] >> half % 2 * 32);
  if (select_ == kVersion) return kVersionValue;
  return select_ == kId || select_ == kArbitration ? id_ : 0;
}

void VIoApic::write_register(u32 value) {
  if (select_ == kId) id_ = value & kIdBits;
  const unsigned half = static_cast<unsigned>(select_) - kFirstEntry;
  if (half >= kPins * 2) return;
  const unsigned pin = half / 2, shift = half % 2 * 32;
  u64& entry = entries_[pin];
  const u64 mask = kWritable & u64{~0u} << shift;
  entry = (entry & ~mask) | (u64{value} << shift & mask);
  // Guests without a directed EOI end a stuck interrupt by making its input edge-triggered for a moment.
  if ((entry & kLevel) == 0) entry &= ~kRemoteIrr;
  retry_level(pin);
}

ApicMessage VIoApic::message(u64 entry) {
  const u32 destination = static_cast<u32>(entry >> kDestinationShift);
  const bool logical = (entry & kLogical) != 0;
  return {.destination = !logical && destination == kPhysicalBroadcast ? ApicMessage::kBroadcast : destination,
          .logical = logical,
          .delivery = static_cast<ApicDelivery>(entry >> 8 & 7),
          .vector = static_cast<u8>(entry),
          .level = (entry & kLevel) != 0};
}

void VIoApic::deliver(unsigned pin) {
  u64& entry = entries_[pin];
  ApicMessage interrupt = message(entry);
  const bool maskable = interrupt.delivery == ApicDelivery::Fixed || interrupt.delivery == ApicDelivery::LowestPriority;
  interrupt.level = interrupt.level && maskable;
  // Remote IRR is the acceptance by a local APIC: without one there will be no EOI.
  if (bus_.deliver(interrupt) && interrupt.level) entry |= kRemoteIrr;
}

void VIoApic::retry_level(unsigned pin) {
  const bool asserted = (lines_ >> pin & 1) != 0;
  if (asserted && (entries_[pin] & (kLevel | kMasked | kRemoteIrr)) == kLevel) deliver(pin);
}

void VIoApic::set_line(unsigned pin, bool asserted) {
  if (pin >= kPins || (lines_ >> pin & 1) == (asserted ? 1u : 0u)) return;
  lines_ ^= 1u << pin;
  if (!asserted) return;
  if ((entries_[pin] & (kLevel | kMasked)) == 0) return deliver(pin);
  retry_level(pin);
}

void VIoApic::end_of_interrupt(u8 vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    u64& entry = entries_[pin];
    if ((entry & kRemoteIrr) == 0 || static_cast<u8>(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    listener_.line_ended(pin);
    retry_level(pin);
  }
}

bool VIoApic::takes_8259(unsigned vcpu) const {
  const u64 entry = entries_[0];
  if ((entry & kMasked) != 0) return false;
  const ApicMessage wire = message(entry);
  return wire.delivery == ApicDelivery::ExtInt && bus_[vcpu].matches(wire);
}

}  // namespace hv
