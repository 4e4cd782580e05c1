#include "hypervisor/device/pci/vpci_bus.hpp"

namespace hv {
namespace {

constexpr u64 kFunctionShift = 12, kDeviceShift = 15, kRegisterMask = 0xfff;

// A generic PCI Express host bridge, as emulators have it.
constexpr u32 kBridgeIdentity = 0x0008'1b36, kBridgeClass = 0x0600'0000;
constexpr u32 kClassOffset = 8;

// Mechanism 1 (PCI 3.0 3.2.2.3.2): the address port, and four bytes of data.
constexpr u32 kPortEnable = 1u << 31, kPortAddressMask = 0x80ff'fffc;
constexpr u32 kDataOffset = 4;

/// Whether an access of `size` bytes at port offset `offset` is one to the data, within its word.
constexpr bool is_data(u32 offset, u32 size) { return offset >= kDataOffset && (offset & 3) + size <= 4; }

constexpr u32 all_ones(u32 size) { return static_cast<u32>(extract_bytes(~u64{0}, 0, size)); }

}  // namespace

Result<void> VPciBus::add(VPciFunction& function) {
  TRY(functions_.push_back(&function));
  return {};
}

VPciFunction* VPciBus::function_at(u64 address) {
  const u64 device = address >> kDeviceShift;
  const bool first = (address >> kFunctionShift & 7) == 0;
  return first && device >= 1 && device <= functions_.size() ? functions_[device - 1] : nullptr;
}

u32 VPciBus::read(u64 address, u32 size) {
  const u32 offset = static_cast<u32>(address & kRegisterMask);
  if (VPciFunction* function = function_at(address)) return function->read(offset, size);
  if (address >> kFunctionShift != 0) return all_ones(size);
  const u32 word = (offset & ~3u) == 0 ? kBridgeIdentity : (offset & ~3u) == kClassOffset ? kBridgeClass : 0;
  return static_cast<u32>(extract_bytes(word, offset & 3, size));
}

void VPciBus::write(u64 address, u32 size, u32 value) {
  if (VPciFunction* function = function_at(address)) function->write(static_cast<u32>(address & kRegisterMask), size, value);
}

// Bus, device, function and register stand 4 bits lower in the port than in the ECAM, but for the register.
u32 VPciBus::port_read(u32 offset, u32 size) {
  if (offset == 0 && size == 4) return port_address_;
  if (!is_data(offset, size) || (port_address_ & kPortEnable) == 0) return all_ones(size);
  const u64 address = u64{port_address_ >> 8 & 0xffff} << kFunctionShift | (port_address_ & 0xfc) | (offset & 3);
  return read(address, size);
}

void VPciBus::port_write(u32 offset, u32 size, u32 value) {
  if (offset == 0 && size == 4) port_address_ = value & kPortAddressMask;
  if (!is_data(offset, size) || (port_address_ & kPortEnable) == 0) return;
  const u64 address = u64{port_address_ >> 8 & 0xffff} << kFunctionShift | (port_address_ & 0xfc) | (offset & 3);
  write(address, size, value);
}

}  // namespace hv
