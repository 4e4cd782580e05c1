#include "kernel/drivers/virtio_pci.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

// Configuration space (PCI Local Bus Specification 3.0, 6.1).
constexpr u32 kVendor = 0x00, kDevice = 0x02, kCommand = 0x04, kStatusRegister = 0x06, kBars = 0x10, kCapabilities = 0x34;
constexpr u16 kMemorySpace = 1 << 1, kBusMaster = 1 << 2, kInterruptDisable = 1 << 10, kHasCapabilities = 1 << 4;
constexpr u16 kVirtioVendor = 0x1af4, kFirstModern = 0x1040, kFirstTransitional = 0x1000;
constexpr u16 kTransitionalBlock = kFirstTransitional + 1;
constexpr u8 kVendorCapability = 0x09;
constexpr unsigned kMostCapabilities = 48;  // as many as have room

// 4.1.4: the capability.
constexpr u32 kNext = 1, kType = 3, kBar = 4, kOffset = 8, kLength = 12, kMultiplier = 16;
constexpr u8 kCommonType = 1, kNotifyType = 2, kDeviceType = 4;

/// 4.1.4.3.
enum Common : u32 {
  kDeviceFeatureSelect = 0x00,
  kDeviceFeature = 0x04,
  kDriverFeatureSelect = 0x08,
  kDriverFeature = 0x0c,
  kStatus = 0x14,
  kQueueSelect = 0x16,
  kQueueSize = 0x18,
  kQueueMessage = 0x1a,
  kQueueEnable = 0x1c,
  kQueueNotifyOffset = 0x1e,
  kQueueDescriptors = 0x20,
  kQueueAvailable = 0x28,
  kQueueUsed = 0x30,
  kCommonSize = 0x38,
};

/// The memory that a capability points into.
Result<HpaRange> window_of(const PciEcam& ecam, PciFunction function, u32 capability) {
  constexpr u32 kIoSpace = 1, kTypeMask = 6, k64Bit = 4;
  const u32 bar = TRY(ecam.read(function, capability + kBar, 1)), offset = TRY(ecam.read(function, capability + kOffset, 4)),
            length = TRY(ecam.read(function, capability + kLength, 4));
  if (bar > 5) return fail(Error::Malformed);
  const u32 low = TRY(ecam.read(function, kBars + bar * 4, 4));
  if ((low & kIoSpace) != 0) return fail(Error::NotSupported);
  u64 base = low & ~u32{15};
  if ((low & kTypeMask) == k64Bit) {
    if (bar == 5) return fail(Error::Malformed);
    base |= u64{TRY(ecam.read(function, kBars + bar * 4 + 4, 4))} << 32;
  }
  const HpaRange window{Hpa(base + offset), length};
  if (base == 0 || window.base.value() < base || !window.fits()) return fail(Error::Malformed);
  return window;
}

}  // namespace

Result<VirtioPci> VirtioPci::probe(const PciEcam& ecam, PciFunction function, u32 device, Map map) {
  const u32 vendor = TRY(ecam.read(function, kVendor, 2)), id = TRY(ecam.read(function, kDevice, 2));
  const bool is_it = id == kFirstModern + device || (device == kVirtioBlockDevice && id == kTransitionalBlock);
  if (vendor != kVirtioVendor || !is_it) return fail(Error::NotFound);
  if ((TRY(ecam.read(function, kStatusRegister, 2)) & kHasCapabilities) == 0) return fail(Error::NotSupported);

  VirtioPci found;
  u32 at = TRY(ecam.read(function, kCapabilities, 1)) & ~u32{3};
  for (unsigned i = 0; at != 0 && i < kMostCapabilities; ++i) {
    const u32 here = at;
    at = TRY(ecam.read(function, here + kNext, 1)) & ~u32{3};
    if (TRY(ecam.read(function, here, 1)) != kVendorCapability) continue;
    const u32 type = TRY(ecam.read(function, here + kType, 1));
    u64* const place = type == kCommonType ? &found.common_ : type == kNotifyType ? &found.notify_ : type == kDeviceType ? &found.device_ : nullptr;
    if (place == nullptr || *place != 0) continue;  // the first of each kind is the one to use
    const HpaRange window = TRY(window_of(ecam, function, here));
    if (type == kCommonType && window.size < kCommonSize) return fail(Error::Malformed);
    TRY(map(window));
    *place = window.base.value();
    if (type == kNotifyType) found.notify_multiplier_ = TRY(ecam.read(function, here + kMultiplier, 4));
  }
  if (found.common_ == 0 || found.notify_ == 0 || found.device_ == 0) return fail(Error::NotSupported);
  const u32 command = TRY(ecam.read(function, kCommand, 2));
  TRY(ecam.write(function, kCommand, 2, command | kMemorySpace | kBusMaster | kInterruptDisable));
  return found;
}

u8 VirtioPci::status() { return arch::mmio_read8(common_ + kStatus); }
void VirtioPci::set_status(u8 status) { arch::mmio_write8(common_ + kStatus, status); }

u32 VirtioPci::features(unsigned word) {
  arch::mmio_write32(common_ + kDeviceFeatureSelect, word);
  return arch::mmio_read32(common_ + kDeviceFeature);
}
void VirtioPci::take_features(unsigned word, u32 bits) {
  arch::mmio_write32(common_ + kDriverFeatureSelect, word);
  arch::mmio_write32(common_ + kDriverFeature, bits);
}

Result<void> VirtioPci::set_queue(const Queue& queue) {
  arch::mmio_write16(common_ + kQueueSelect, 0);
  const u16 most = arch::mmio_read16(common_ + kQueueSize);
  if (most == 0) return fail(Error::NotFound);
  if (most < queue.size) return fail(Error::NotSupported);
  arch::mmio_write16(common_ + kQueueSize, queue.size);
  const auto address = [&](u32 offset, u64 value) {
    arch::mmio_write32(common_ + offset, static_cast<u32>(value));
    arch::mmio_write32(common_ + offset + sizeof(u32), static_cast<u32>(value >> 32));
  };
  address(kQueueDescriptors, queue.descriptors);
  address(kQueueAvailable, queue.available);
  address(kQueueUsed, queue.used);
  if (message_ != kNoMessage) arch::mmio_write16(common_ + kQueueMessage, message_);
  notify_ += u64{arch::mmio_read16(common_ + kQueueNotifyOffset)} * notify_multiplier_;
  notify_multiplier_ = 0;  // once
  arch::mmio_write16(common_ + kQueueEnable, 1);
  return {};
}

void VirtioPci::notify() { arch::mmio_write16(notify_, 0); }
u32 VirtioPci::configuration(u32 offset) { return arch::mmio_read32(device_ + offset); }

}  // namespace ax::drivers
