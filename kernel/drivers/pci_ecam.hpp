// PCI configuration space as memory (PCI Express Base Specification 7.2.2).
#pragma once

#include "kernel/acpi/description.hpp"
#include "kernel/base/result.hpp"

namespace ax::drivers {

/// A PCI function.
struct PciFunction {
  u16 segment = 0;
  u8 bus = 0;
  u8 device = 0;    ///< 0..31
  u8 function = 0;  ///< 0..7

  friend constexpr bool operator==(const PciFunction&, const PciFunction&) = default;
};

/// One segment, its registers mapped as device memory at VA = PA: see registers_of() for how much of them.
class PciEcam {
 public:
  explicit constexpr PciEcam(const acpi::PciSegment& segment) : segment_(segment) {}

  static constexpr u64 kFunctionSize = 4_KiB;

  /// The 4 KiB of one function. Error: OutOfRange (not in this segment, or no such number).
  Result<HpaRange> registers_of(PciFunction function) const;

  /// `bytes` is 1, 2 or 4, `offset` a multiple of it below 4096. Errors: OutOfRange, InvalidArgument.
  Result<u32> read(PciFunction function, u32 offset, u32 bytes) const;
  Result<void> write(PciFunction function, u32 offset, u32 bytes, u32 value) const;

 private:
  Result<u64> address(PciFunction function, u32 offset, u32 bytes) const;

  acpi::PciSegment segment_;
};

}  // namespace ax::drivers
