#include "hypervisor/device/pci/vpci_function.hpp"

#include <algorithm>
#include <bit>

namespace hv {
namespace {

// Configuration space of a function that is no bridge (PCI 3.0 6.1, 6.2).
constexpr u32 kIdentity = 0x00, kCommand = 0x04, kClass = 0x08, kHeader = 0x0c, kFirstBar = 0x10, kSubsystem = 0x2c,
              kCapabilities = 0x34, kInterrupt = 0x3c, kFirstCapability = 0x40;
constexpr unsigned kBars = 6;
constexpr u32 kLastPin = 4;

constexpr u16 kIoSpace = 1 << 0, kMemorySpace = 1 << 1, kBusMaster = 1 << 2, kInterruptDisable = 1 << 10;
constexpr u16 kCommandBits = kIoSpace | kMemorySpace | kBusMaster | kInterruptDisable;
constexpr u32 kHasCapabilities = 1 << 4;           // status
constexpr u32 kStatusErrors = 0xf900;              // written as one to clear
constexpr u32 kHeaderTypeMask = 0x7f, kHeaderTypeShift = 16;
constexpr u32 kNothing = 0xffff'ffff;

constexpr u32 kBarIsPort = 1, kBar64 = 2 << 1, kBarTypeMask = 3 << 1, kBarPrefetchable = 1 << 3, kBarFlags = 0xf, kPortBarFlags = 3;
constexpr u32 kPorts = 0x1'0000;

// Capabilities.
constexpr u8 kMsi = 0x05, kVendor = 0x09, kExpress = 0x10, kMsix = 0x11;

// Message control words, in the upper half of a capability's first word.
constexpr u32 kControlShift = 16;
constexpr u32 kMsiEnable = 1, kMsi64 = 1 << 7, kMsiMaskable = 1 << 8, kMsiMultiple = 0x7 << 1 | 0x7 << 4;
constexpr u32 kMsixEnable = 1 << 15, kMsixMask = 1 << 14, kMsixSizeMask = 0x7ff;
constexpr u32 kTableBarMask = 7;
constexpr u64 kEntrySize = 16;
constexpr u32 kEntryControl = 3;  // word of an entry

// PCI Express: device capabilities and control.
constexpr u32 kDeviceCapabilities = 4, kDeviceControl = 8, kFunctionLevelReset = 1 << 28, kStartReset = 1 << 15;

// Virtio: the common configuration structure, and the status in it whose zero resets (Virtio 1.1 4.1.4).
constexpr u32 kVirtioVendor = 0x1af4;
constexpr u8 kVirtioCommon = 1;
constexpr u32 kVirtioBar = 4, kVirtioOffset = 8, kVirtioStatus = 0x14;

/// The lanes of a 32-bit register that an access covers.
constexpr u32 lanes(u32 offset, u32 size) {
  return static_cast<u32>((size == 4 ? u64{kNothing} : (u64{1} << size * 8) - 1) << (offset & 3) * 8);
}
constexpr u32 merge(u32 old, u32 value, u32 mask) { return (old & ~mask) | (value & mask); }

}  // namespace

// ---- what is there ----------------------------------------------------------------------------------------------------

Result<void> VPciFunction::probe(bool with_ports) {
  if (hardware_.read_config(kIdentity, 4) == kNothing) return fail(Error::NotFound);
  if ((hardware_.read_config(kHeader, 4) >> kHeaderTypeShift & kHeaderTypeMask) != 0) return fail(Error::NotSupported);
  hardware_.write_config(kCommand, 2, kInterruptDisable);
  read_bars(with_ports);
  read_capabilities();
  return {};
}

// A range of ports that nobody has placed is of no use: those of memory do the same, or the function has other drivers.
void VPciFunction::read_bars(bool with_ports) {
  bars_.clear();
  for (u8 i = 0; i < kBars; ++i) {
    const u32 offset = kFirstBar + u32{i} * 4;
    const u32 low = hardware_.read_config(offset, 4);
    hardware_.write_config(offset, 4, kNothing);
    const u32 low_mask = hardware_.read_config(offset, 4);
    hardware_.write_config(offset, 4, low);
    if (low_mask == 0) continue;
    if ((low_mask & kBarIsPort) != 0) {
      const u32 port = low & ~kPortBarFlags, size = ~((low_mask & ~kPortBarFlags) | ~(kPorts - 1)) + 1;
      if (with_ports && port != 0 && port < kPorts && size <= kPorts - port && size < kPorts)
        (void)bars_.push_back({.bus = port, .size = size, .index = i, .is_port = true});
      continue;
    }
    PciBar bar{.bus = low & ~kBarFlags,
               .index = i,
               .is_64bit = (low_mask & kBarTypeMask) == kBar64,
               .prefetchable = (low_mask & kBarPrefetchable) != 0};
    u64 mask = low_mask & ~kBarFlags;
    if (bar.is_64bit && i + 1u < kBars) {
      const u32 high = hardware_.read_config(offset + 4, 4);
      hardware_.write_config(offset + 4, 4, kNothing);
      mask |= u64{hardware_.read_config(offset + 4, 4)} << 32;
      hardware_.write_config(offset + 4, 4, high);
      bar.bus |= u64{high} << 32;
      ++i;
    } else {
      bar.is_64bit = false;
      mask |= u64{kNothing} << 32;
    }
    bar.size = ~mask + 1;
    if (std::has_single_bit(bar.size) && (bar.is_64bit || bar.size <= kNothing)) (void)bars_.push_back(bar);
  }
}

// A list that comes back to itself ends when every offset that a capability can have was seen.
void VPciFunction::read_capabilities() {
  capabilities_.clear();
  std::array<bool, kConfigSize / 4> seen{};
  std::array<bool, kConfigSize / 4> starts{};
  if ((hardware_.read_config(kCommand, 4) >> 16 & kHasCapabilities) == 0) return;
  for (u32 at = hardware_.read_config(kCapabilities, 1) & ~3u; at >= kFirstCapability && !seen[at / 4];) {
    seen[at / 4] = starts[at / 4] = true;
    const u32 head = hardware_.read_config(at, 4);
    const u8 id = static_cast<u8>(head);
    u32 length = 0;
    if (id == kMsi) length = (head >> kControlShift & kMsiMaskable) != 0 ? 24 : (head >> kControlShift & kMsi64) != 0 ? 16 : 12;
    if (id == kMsix) length = 12;
    if (id == kVendor) length = ((head >> 16 & 0xff) + 3) & ~3u;
    if (id == kExpress) length = 60;
    const bool whole = at + length <= kConfigSize || id == kVendor || id == kExpress;
    if (length != 0 && whole && !capabilities_.full()) {
      (void)capabilities_.push_back({id, static_cast<u8>(at), static_cast<u8>(std::min(length, kConfigSize - at)), 0});
    }
    at = head >> 8 & 0xfc;
  }
  for (Capability& capability : capabilities_) {
    // One that claims more than its place has ends where the next one begins.
    for (u32 at = capability.offset + 4u; at < u32{capability.offset} + capability.length; at += 4) {
      if (starts[at / 4]) capability.length = static_cast<u8>(at - capability.offset);
    }
  }
  message_count_ = find(kMsi) != nullptr ? 1 : 0;
  if (const Capability* msix = find(kMsix)) read_msix(*msix);
}

// Who cannot be given messages does not see that there are any: drivers use the pin then.
void VPciFunction::link_capabilities() {
  u8 next = 0;
  for (usize i = capabilities_.size(); i-- > 0;) {
    Capability& c = capabilities_[i];
    c.shown = !(c.id == kMsi || c.id == kMsix) || (!host_.empty() && (c.id == kMsi || table_.entries != 0));
    if (!c.shown) continue;
    c.next = next;
    next = c.offset;
  }
  first_capability_ = next;
}

void VPciFunction::read_msix(const Capability& capability) {
  const u32 control = hardware_.read_config(capability.offset, 4) >> kControlShift;
  const u32 place = hardware_.read_config(capability.offset + 4u, 4);
  const auto bar = std::ranges::find(bars_, static_cast<u8>(place & kTableBarMask), &PciBar::index);
  const u32 entries = (control & kMsixSizeMask) + 1;
  const u64 offset = place & ~kTableBarMask;
  if (bar == bars_.end() || bar->is_port || offset + entries * kEntrySize > bar->size) return;  // of no use to anybody
  table_ = {offset, entries, static_cast<u8>(bar - bars_.begin())};
  message_count_ = static_cast<u8>(std::min(entries, kMaxMessages));
}

const VPciFunction::Capability* VPciFunction::find(u8 id) const {
  const auto at = std::ranges::find(capabilities_, id, &Capability::id);
  return at == capabilities_.end() ? nullptr : at;
}

const VPciFunction::Capability* VPciFunction::capability_at(u32 offset) const {
  for (const Capability& c : capabilities_) {
    if (c.shown && offset >= c.offset && offset < u32{c.offset} + c.length) return &c;
  }
  return nullptr;
}

u8 VPciFunction::hardware_interrupt_pin() {
  const u32 pin = hardware_.read_config(kInterrupt + 1, 1);
  return pin <= kLastPin ? static_cast<u8>(pin) : u8{0};
}
u8 VPciFunction::hardware_interrupt_line() { return static_cast<u8>(hardware_.read_config(kInterrupt, 1)); }

void VPciFunction::give_interrupt_pin(u8 line) {
  interrupt_pin_ = hardware_interrupt_pin();
  interrupt_line_ = line;
}

void VPciFunction::attach(std::span<const PciMessage> host) {
  detach();
  host_.clear();
  for (const PciMessage& message : host) (void)host_.push_back(message);
  link_capabilities();
  u32 decoded = 0;
  for (const PciBar& bar : bars_) {
    bar_values_[bar.index] = static_cast<u32>(bar.bus);
    if (bar.is_64bit) bar_values_[bar.index + 1u] = static_cast<u32>(bar.bus >> 32);
    decoded |= bar.is_port ? kIoSpace : kMemorySpace;
  }
  write_command(decoded);
  for (unsigned i = 0; i < host_.size(); ++i) program_entry(i);
}

void VPciFunction::detach() {
  msi_enabled_ = msix_enabled_ = msix_masked_ = false;
  entries_.fill({.words = {0, 0, 0, 1}});
  msi_ = {};
  command_ = 0;
  restore_bars();
  if (reset_hardware()) restore_bars();
  hardware_.write_config(kCommand, 2, kInterruptDisable | kMemorySpace);
  if (find(kMsi) != nullptr) program_msi();
  if (table_.entries != 0) program_msix_control();
}

void VPciFunction::restore_bars() {
  for (const PciBar& bar : bars_) {
    const u32 offset = kFirstBar + u32{bar.index} * 4;
    hardware_.write_config(offset, 4, static_cast<u32>(bar.bus));
    if (bar.is_64bit) hardware_.write_config(offset + 4, 4, static_cast<u32>(bar.bus >> 32));
  }
}

// Memory decoding must be on for the reset of a virtio device; it has no other where there is no PCI Express.
// True: all registers were reset.
bool VPciFunction::reset_hardware() {
  hardware_.write_config(kCommand, 2, kInterruptDisable | kMemorySpace);
  const Capability* express = find(kExpress);
  if (express != nullptr && (hardware_.read_config(express->offset + kDeviceCapabilities, 4) & kFunctionLevelReset) != 0) {
    const u32 control = express->offset + kDeviceControl;
    hardware_.write_config(control, 2, hardware_.read_config(control, 2) | kStartReset);
    hardware_.wait_for_reset();
    return true;
  }
  const bool virtio = (hardware_.read_config(kIdentity, 2) & 0xffff) == kVirtioVendor;
  for (const Capability& c : capabilities_) {
    if (!virtio || c.id != kVendor || hardware_.read_config(c.offset + 3u, 1) != kVirtioCommon) continue;
    const u8 index = static_cast<u8>(hardware_.read_config(c.offset + kVirtioBar, 1));
    const u64 at = u64{hardware_.read_config(c.offset + kVirtioOffset, 4)} + kVirtioStatus;
    const auto bar = std::ranges::find(bars_, index, &PciBar::index);
    if (bar != bars_.end() && !bar->is_port && at < bar->size) hardware_.write_memory(bar->base + at, 1, 0);
  }
  return false;
}

// ---- configuration space ----------------------------------------------------------------------------------------------

u32 VPciFunction::read(u32 offset, u32 size) {
  if (offset >= kConfigSize) return 0;
  return static_cast<u32>(extract_bytes(read_word(offset & ~3u), offset & 3, size));
}

void VPciFunction::write(u32 offset, u32 size, u32 value) {
  if (offset >= kConfigSize) return;
  write_word(offset & ~3u, value << (offset & 3) * 8, lanes(offset, size));
}

u32 VPciFunction::read_word(u32 offset) {
  if (offset >= kFirstBar && offset < kFirstBar + kBars * 4) return read_bar((offset - kFirstBar) / 4);
  switch (offset) {
    case kIdentity:
    case kClass:
    case kSubsystem: return hardware_.read_config(offset, 4);
    case kCommand: {
      const u32 status = hardware_.read_config(kCommand, 4) >> 16 & ~kHasCapabilities;
      return command_ | (status | (first_capability_ != 0 ? kHasCapabilities : 0)) << 16;
    }
    case kHeader: return hardware_.read_config(offset, 4) & 0xffff;
    case kCapabilities: return first_capability_;
    case kInterrupt: return interrupt_line_ | u32{interrupt_pin_} << 8;
    default: break;
  }
  const Capability* capability = capability_at(offset);
  if (capability == nullptr) return 0;
  const u32 word = offset - capability->offset;
  u32 value = capability->id == kMsi ? read_msi(*capability, word) : hardware_.read_config(offset, 4);
  if (word != 0) return value;
  if (capability->id == kMsix) {
    const u32 state = (msix_enabled_ ? kMsixEnable : 0) | (msix_masked_ ? kMsixMask : 0);
    const u32 count = host_.empty() ? 0 : static_cast<u32>(host_.size()) - 1;
    value = merge(value, (state | count) << kControlShift, 0xffff'0000);
  }
  return merge(value, u32{capability->next} << 8, 0xff00);
}

void VPciFunction::write_word(u32 offset, u32 value, u32 mask) {
  if (offset >= kFirstBar && offset < kFirstBar + kBars * 4) return write_bar((offset - kFirstBar) / 4, value, mask);
  if (offset == kCommand) {
    if ((mask & 0xffff) != 0) write_command(merge(command_, value, mask) & kCommandBits);
    const u32 errors = value & mask & kStatusErrors << 16;
    if (errors != 0) hardware_.write_config(kCommand + 2, 2, errors >> 16);
    return;
  }
  if (offset == kInterrupt) {
    interrupt_line_ = static_cast<u8>(merge(interrupt_line_, value, mask));
    return;
  }
  const Capability* capability = capability_at(offset);
  if (capability == nullptr) return;
  const u32 word = offset - capability->offset;
  if (capability->id == kMsi) return write_msi(*capability, word, value, mask);
  if (capability->id == kMsix && word == 0) write_msix_control(merge(read_word(offset), value, mask) >> kControlShift);
}

u32 VPciFunction::read_bar(u32 index) const {
  for (const PciBar& bar : bars_) {
    const u64 writable = ~(bar.size - 1);
    if (bar.index == index) {
      const u32 flags = bar.is_port ? kBarIsPort : (bar.is_64bit ? kBar64 : 0) | (bar.prefetchable ? kBarPrefetchable : 0);
      return (bar_values_[index] & static_cast<u32>(writable)) | flags;
    }
    if (bar.is_64bit && bar.index + 1u == index) return bar_values_[index] & static_cast<u32>(writable >> 32);
  }
  return 0;
}

void VPciFunction::write_bar(u32 index, u32 value, u32 mask) { bar_values_[index] = merge(bar_values_[index], value, mask); }

std::optional<u64> VPciFunction::guest_bus_address(const PciBar& bar) const {
  if ((command_ & (bar.is_port ? kIoSpace : kMemorySpace)) == 0) return std::nullopt;
  const u64 value = bar_values_[bar.index] | (bar.is_64bit ? u64{bar_values_[bar.index + 1u]} << 32 : 0);
  return value & ~(bar.size - 1);
}

void VPciFunction::write_command(u32 value) {
  command_ = static_cast<u16>(value);
  const bool pin = interrupt_pin_ != 0 && (command_ & kInterruptDisable) == 0;
  const bool ports = std::ranges::any_of(bars_, &PciBar::is_port);
  hardware_.write_config(kCommand, 2,
                         (command_ & kBusMaster) | kMemorySpace | (ports ? kIoSpace : 0) | (pin ? 0 : kInterruptDisable));
}

// ---- messages ---------------------------------------------------------------------------------------------------------

// Message address, upper address if there is one, data, and with masking the mask and what is pending.
u32 VPciFunction::read_msi(const Capability& msi, u32 word) {
  const u32 head = hardware_.read_config(msi.offset, 4);
  const bool wide = (head >> kControlShift & kMsi64) != 0;
  if (word == 0) return (head & ~((kMsiMultiple | kMsiEnable) << kControlShift)) | u32{msi_enabled_} << kControlShift;
  const std::array<u32, 4>& words = msi_.words;
  const u32 data = wide ? 12 : 8;
  if (word == 4) return words[0];
  if (word == 8 && wide) return words[1];
  if (word == data) return words[2];
  if (word == data + 4) return words[kEntryControl] & 1;
  return hardware_.read_config(msi.offset + word, 4);  // what is pending
}

void VPciFunction::write_msi(const Capability& msi, u32 word, u32 value, u32 mask) {
  const u32 control = hardware_.read_config(msi.offset, 4) >> kControlShift;
  const u32 data = (control & kMsi64) != 0 ? 12 : 8;
  std::array<u32, 4>& words = msi_.words;
  if (word == 0) {
    if ((mask >> kControlShift & kMsiEnable) == 0) return;
    msi_enabled_ = (value >> kControlShift & kMsiEnable) != 0 && !host_.empty();
  } else if (word == 4) {
    words[0] = merge(words[0], value, mask) & ~3u;
  } else if (word == 8 && data == 12) {
    words[1] = merge(words[1], value, mask);
  } else if (word == data) {
    words[2] = merge(words[2], value, mask) & 0xffff;
  } else if (word == data + 4 && (control & kMsiMaskable) != 0) {
    words[kEntryControl] = merge(words[kEntryControl], value, mask) & 1;
  }
  program_msi();
  send_missed(0);
}

void VPciFunction::program_msi() {
  const Capability& msi = *find(kMsi);
  const u32 control = hardware_.read_config(msi.offset, 4) >> kControlShift;
  const bool wide = (control & kMsi64) != 0;
  const bool on = msi_enabled_ && !msix_enabled_;
  const u32 at = msi.offset;
  hardware_.write_config(at + 2, 2, control & ~(kMsiEnable | kMsiMultiple));
  if (!on) return;
  hardware_.write_config(at + 4, 4, static_cast<u32>(host_[0].address));
  if (wide) hardware_.write_config(at + 8, 4, static_cast<u32>(host_[0].address >> 32));
  hardware_.write_config(at + (wide ? 12 : 8), 2, host_[0].data);
  if ((control & kMsiMaskable) != 0) hardware_.write_config(at + (wide ? 16 : 12), 4, msi_.masked() ? 1 : 0);
  hardware_.write_config(at + 2, 2, (control & ~kMsiMultiple) | kMsiEnable);
}

void VPciFunction::write_msix_control(u32 value) {
  msix_enabled_ = (value & kMsixEnable) != 0 && !host_.empty() && table_.entries != 0;
  msix_masked_ = (value & kMsixMask) != 0;
  if (find(kMsi) != nullptr) program_msi();
  program_msix_control();
  for (unsigned i = 0; i < host_.size(); ++i) {
    program_entry(i);
    send_missed(i);
  }
}

void VPciFunction::program_msix_control() {
  const u32 state = (msix_enabled_ ? kMsixEnable : 0) | (msix_masked_ ? kMsixMask : 0);
  hardware_.write_config(find(kMsix)->offset + 2u, 2, state);
}

// The guest's masks go to the hardware, which then remembers in its pending bits what comes meanwhile.
void VPciFunction::program_entry(unsigned index) {
  if (table_.entries == 0) return;
  const Hpa at = table_base() + index * kEntrySize;
  const PciMessage& message = host_[index];
  hardware_.write_memory(at + 12, 4, 1);
  if (entries_[index].masked()) return;
  hardware_.write_memory(at, 4, static_cast<u32>(message.address));
  hardware_.write_memory(at + 4, 4, static_cast<u32>(message.address >> 32));
  hardware_.write_memory(at + 8, 4, message.data);
  hardware_.write_memory(at + 12, 4, 0);
}

void VPciFunction::hardware_message(unsigned index) {
  const bool expected = msix_enabled_ || (msi_enabled_ && index == 0);
  if (!expected || index >= host_.size()) return;
  Entry& target = entry(index);
  target.missed = target.masked() || !enabled();  // it was on its way when the guest masked it
  if (!target.missed) sink_.send(target.message());
}

void VPciFunction::send_missed(unsigned index) {
  if (entry(index).missed && enabled()) hardware_message(index);
}

// ---- the pages with the table -------------------------------------------------------------------------------------------

HpaRange VPciFunction::mediated() const {
  if (table_.entries == 0) return {};
  const Hpa first = table_base().align_down(kPageSize), end = (table_base() + table_.entries * kEntrySize).align_up(kPageSize);
  return {first, end - first};
}

std::optional<u64> VPciFunction::table_offset(Hpa address) const {
  if (table_.entries == 0 || address < table_base() || address - table_base() >= table_.entries * kEntrySize) return std::nullopt;
  return address - table_base();
}

u64 VPciFunction::read_memory(Hpa address, u32 size) {
  if (size == 8) return read_memory(address, 4) | read_memory(address + 4, 4) << 32;
  const auto offset = table_offset(address);
  if (!offset) return hardware_.read_memory(address, size);
  const u64 index = *offset / kEntrySize, word = *offset % kEntrySize / 4;
  const u32 value = index < host_.size() ? entries_[index].words[word] : word == kEntryControl ? 1 : 0;
  return extract_bytes(value, *offset & 3, size);
}

void VPciFunction::write_memory(Hpa address, u32 size, u64 value) {
  if (size == 8) {
    write_memory(address, 4, value & kNothing);
    return write_memory(address + 4, 4, value >> 32);
  }
  const auto offset = table_offset(address);
  if (!offset) return hardware_.write_memory(address, size, static_cast<u32>(value));
  const u64 index = *offset / kEntrySize;
  const usize word = *offset % kEntrySize / 4;
  if (index >= host_.size()) return;
  u32& target = entries_[index].words[word];
  target = static_cast<u32>(replace_bytes(target, *offset & 3, size, value));
  if (word != kEntryControl) return;
  target &= 1;
  program_entry(static_cast<unsigned>(index));
  send_missed(static_cast<unsigned>(index));
}

}  // namespace hv
