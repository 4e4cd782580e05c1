// The interface between the data-abort exit and an emulated memory-mapped device.
#pragma once

#include <optional>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// One naturally sized access of a guest to a device.
struct MmioAccess {
  u64 offset = 0;     ///< from the start of the device's range; the whole access lies inside the range
  u32 size = 4;       ///< bytes: 1, 2, 4 or 8
  unsigned vcpu = 0;  ///< index of the accessing vCPU
};

/// An emulated device. Reads of reserved registers give 0 and writes to them are ignored; a fault is for addresses at
/// which nothing answers, and becomes a synchronous external abort in the guest.
///
/// Context: the pCPU that runs `access.vcpu`, interrupts masked, the VM's device lock held (not for read_constant).
/// Nothing here blocks or allocates.
class MmioDevice {
 public:
  /// The value, zero-extended to 64 bits, or nothing for an external abort.
  virtual std::optional<u64> read(const MmioAccess& access) = 0;

  /// `value` holds `access.size` bytes, the rest is zero. False: external abort.
  virtual bool write(const MmioAccess& access, u64 value) = 0;

  /// The value of a register that never changes while the VM exists, or nothing for every other one. Needs no lock.
  virtual std::optional<u64> read_constant(const MmioAccess&) const { return std::nullopt; }

 protected:
  ~MmioDevice() = default;
};

/// The bytes of `value` that an access of `size` bytes at byte `offset` of the register sees.
constexpr u64 extract_bytes(u64 value, u64 offset, u32 size) {
  value >>= (offset & 7) * 8;
  return size >= 8 ? value : value & ((u64{1} << size * 8) - 1);
}

/// `old` with `size` bytes at byte `offset` replaced by those of `value`.
constexpr u64 replace_bytes(u64 old, u64 offset, u32 size, u64 value) {
  const unsigned shift = static_cast<unsigned>(offset & 7) * 8;
  const u64 mask = (size >= 8 ? ~u64{0} : (u64{1} << size * 8) - 1) << shift;
  return (old & ~mask) | (value << shift & mask);
}

}  // namespace hv
