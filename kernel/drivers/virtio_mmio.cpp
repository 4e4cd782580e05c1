#include "kernel/drivers/virtio_mmio.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

/// Table 4.1, and 4.2.4 for the legacy ones.
enum Register : u32 {
  kMagicValue = 0x00,
  kVersion = 0x04,
  kDeviceId = 0x08,
  kDeviceFeatures = 0x10,
  kDeviceFeaturesSelect = 0x14,
  kDriverFeatures = 0x20,
  kDriverFeaturesSelect = 0x24,
  kLegacyPageSize = 0x28,
  kQueueSelect = 0x30,
  kQueueSizeMax = 0x34,
  kQueueSize = 0x38,
  kLegacyQueueAlign = 0x3c,
  kLegacyQueuePage = 0x40,
  kQueueReady = 0x44,
  kQueueNotify = 0x50,
  kInterruptStatus = 0x60,
  kInterruptAcknowledge = 0x64,
  kStatus = 0x70,
  kQueueDescriptors = 0x80,
  kQueueAvailable = 0x90,
  kQueueUsed = 0xa0,
  kConfiguration = 0x100,
};
constexpr u32 kMagic = 0x7472'6976;  // "virt"
constexpr u32 kLegacy = 1, kModern = 2;

}  // namespace

u32 VirtioMmio::read(u32 offset) const { return arch::mmio_read32(base_ + offset); }
void VirtioMmio::write(u32 offset, u32 value) const { arch::mmio_write32(base_ + offset, value); }

Result<VirtioMmio> VirtioMmio::probe(Hpa registers, u32 device) {
  const VirtioMmio probed(registers, true);
  const u32 version = probed.read(kVersion);
  if (probed.read(kMagicValue) != kMagic || (version != kLegacy && version != kModern) || probed.read(kDeviceId) != device)
    return fail(Error::NotFound);
  return VirtioMmio(registers, version == kLegacy);
}

u8 VirtioMmio::status() { return static_cast<u8>(read(kStatus)); }
void VirtioMmio::set_status(u8 status) { write(kStatus, status); }

u32 VirtioMmio::features(unsigned word) {
  write(kDeviceFeaturesSelect, word);
  return read(kDeviceFeatures);
}
void VirtioMmio::take_features(unsigned word, u32 bits) {
  write(kDriverFeaturesSelect, word);
  write(kDriverFeatures, bits);
}

Result<void> VirtioMmio::set_queue(const Queue& queue) {
  if (legacy_) write(kLegacyPageSize, kPageSize);
  write(kQueueSelect, 0);
  const u32 most = read(kQueueSizeMax);
  if (most == 0) return fail(Error::NotFound);
  const bool reachable = !legacy_ || queue.descriptors / kPageSize <= ~u32{0};
  if (most < queue.size || !reachable) return fail(Error::NotSupported);
  write(kQueueSize, queue.size);
  if (legacy_) {
    write(kLegacyQueueAlign, kPageSize);
    write(kLegacyQueuePage, static_cast<u32>(queue.descriptors / kPageSize));
    return {};
  }
  const auto address = [&](u32 offset, u64 value) {
    write(offset, static_cast<u32>(value));
    write(offset + sizeof(u32), static_cast<u32>(value >> 32));
  };
  address(kQueueDescriptors, queue.descriptors);
  address(kQueueAvailable, queue.available);
  address(kQueueUsed, queue.used);
  write(kQueueReady, 1);
  return {};
}

void VirtioMmio::notify() { write(kQueueNotify, 0); }
void VirtioMmio::acknowledge_interrupt() { write(kInterruptAcknowledge, read(kInterruptStatus)); }
u32 VirtioMmio::configuration(u32 offset) { return read(kConfiguration + offset); }

}  // namespace ax::drivers
