#include "hypervisor/device/pci/vpci_bus.hpp"

#include <algorithm>

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

/// The pages of a memory range that the guest may touch without an exit: what is before and what is behind those that are mediated.
constexpr unsigned kPieces = 2;
std::array<HpaRange, kPieces> pieces_of(const VPciFunction& function, const PciBar& bar) {
  const HpaRange all{bar.base, bar.size}, mediated = function.mediated();
  if (mediated.empty() || !all.contains(mediated)) return {all, HpaRange{}};
  return {HpaRange{all.base, mediated.base - all.base}, HpaRange{mediated.end(), all.end() - mediated.end()}};
}
Gpa guest_address(const PciBar& bar, Hpa at) { return Gpa(*bar.guest + (at - bar.base)); }

}  // namespace

Result<void> VPciBus::add_window(const PciWindow& window) {
  TRY(windows_.push_back(window));
  return {};
}

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
  VPciFunction* function = function_at(address);
  if (function == nullptr) return;
  function->write(static_cast<u32>(address & kRegisterMask), size, value);
  place(*function);
}

// ---- where the functions' ranges are -----------------------------------------------------------------------------------

bool VPciBus::start() {
  bool all = true;
  for (VPciFunction* function : functions_) {
    place(*function);
    for (const PciBar& bar : function->bars()) all = all && bar.guest && (bar.direct || bar.is_port || bar.size < kPageSize);
  }
  return all;
}

// Whatever moves goes from where it was before anything appears.
void VPciBus::place(VPciFunction& function) {
  for (PciBar& bar : function.bars()) {
    const auto bus = function.guest_bus_address(bar);
    const auto wanted = bus ? pci_address_of(windows_, bar.is_port, *bus, bar.size) : std::nullopt;
    if (wanted == bar.guest) continue;
    if (bar.direct) hide(function, bar, kPieces);
    bar.direct = false;
    bar.guest = wanted;
  }
  for (PciBar& bar : function.bars())
    if (bar.guest && !bar.direct && !is_shared(function, bar)) bar.direct = show(function, bar);
}

bool VPciBus::is_shared(const VPciFunction& function, const PciBar& bar) {
  for (VPciFunction* other : functions_) {
    for (const PciBar& o : other->bars()) {
      const bool same = other == &function && o.index == bar.index;
      if (!same && o.guest && o.is_port == bar.is_port && *o.guest < *bar.guest + bar.size && *bar.guest < *o.guest + o.size) return true;
    }
  }
  return false;
}

bool VPciBus::show(const VPciFunction& function, const PciBar& bar) {
  if (bar.is_port) return *bar.guest == bar.base.value() && space_.open_ports(static_cast<u16>(*bar.guest), static_cast<u32>(bar.size), true);
  if (bar.size < kPageSize) return false;  // shares its page with others
  unsigned shown = 0;
  for (const HpaRange& piece : pieces_of(function, bar)) {
    if (!piece.empty() && !space_.map({guest_address(bar, piece.base), piece.size}, piece.base)) {
      hide(function, bar, shown);
      return false;
    }
    ++shown;
  }
  return true;
}

void VPciBus::hide(const VPciFunction& function, const PciBar& bar, unsigned pieces) {
  if (bar.is_port) {
    static_cast<void>(space_.open_ports(static_cast<u16>(*bar.guest), static_cast<u32>(bar.size), false));
    return;
  }
  for (const HpaRange& piece : pieces_of(function, bar)) {
    if (pieces-- == 0) return;
    if (!piece.empty()) space_.unmap({guest_address(bar, piece.base), piece.size});
  }
}

VPciBus::Found VPciBus::find(bool is_port, u64 address, u64 size) {
  for (VPciFunction* function : functions_)
    for (const PciBar& bar : function->bars())
      if (bar.guest_has(is_port, address, size)) return {function, &bar};
  return {};
}

bool VPciBus::is_in_window(u64 address, u64 size) const { return pci_bus_address_of(windows_, address, size).has_value(); }

std::optional<u64> VPciBus::memory_read(Gpa address, u32 size) {
  const Found found = find(false, address.value(), size);
  if (found.bar != nullptr) return found.function->read_memory(found.bar->base + (address.value() - *found.bar->guest), size);
  return is_in_window(address.value(), size) ? std::optional(extract_bytes(~u64{0}, 0, size)) : std::nullopt;
}

bool VPciBus::memory_write(Gpa address, u32 size, u64 value) {
  const Found found = find(false, address.value(), size);
  if (found.bar == nullptr) return is_in_window(address.value(), size);
  found.function->write_memory(found.bar->base + (address.value() - *found.bar->guest), size, value);
  return true;
}

std::optional<u16> VPciBus::machine_port(u16 port, u32 size) {
  const Found found = find(true, port, size);
  if (found.bar == nullptr) return std::nullopt;
  return static_cast<u16>(found.bar->base.value() + (port - *found.bar->guest));
}

// ---- configuration mechanism 1 -----------------------------------------------------------------------------------------

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
