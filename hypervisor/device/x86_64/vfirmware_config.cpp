#include "hypervisor/device/x86_64/vfirmware_config.hpp"

namespace hv {
namespace {

// QEMU docs/specs/fw_cfg, and include/standard-headers/linux/qemu_fw_cfg.h for the numbers.
enum Item : u16 { kSignature = 0x00, kRevision = 0x01, kRamSize = 0x03, kCpuCount = 0x05, kMaximumCpuCount = 0x0f };
constexpr u64 kSignatureText = 0x554d'4551;  ///< "QEMU"
constexpr u64 kWithoutDma = 1;

}  // namespace

void VFirmwareConfig::select(u16 item) {
  switch (item) {
    case kSignature: left_ = kSignatureText; break;
    case kRevision: left_ = kWithoutDma; break;
    case kRamSize: left_ = ram_; break;
    case kCpuCount:
    case kMaximumCpuCount: left_ = vcpus_; break;
    default: left_ = 0;
  }
}

u8 VFirmwareConfig::read_data() {
  constexpr unsigned kByteBits = 8;
  const u8 value = static_cast<u8>(left_);
  left_ >>= kByteBits;
  return value;
}

}  // namespace hv
