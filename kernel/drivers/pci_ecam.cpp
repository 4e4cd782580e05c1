#include "kernel/drivers/pci_ecam.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

constexpr unsigned kBusShift = 20, kDeviceShift = 15, kFunctionShift = 12;
constexpr u8 kDevices = 32, kFunctions = 8;

}  // namespace

Result<HpaRange> PciEcam::registers_of(PciFunction f) const {
  if (f.segment != segment_.segment || f.bus < segment_.first_bus || f.bus > segment_.last_bus ||
      f.device >= kDevices || f.function >= kFunctions) {
    return fail(Error::OutOfRange);
  }
  const u64 bus = static_cast<u64>(f.bus - segment_.first_bus);
  const u64 offset = bus << kBusShift | u64{f.device} << kDeviceShift | u64{f.function} << kFunctionShift;
  return HpaRange{segment_.registers.base + offset, kFunctionSize};
}

Result<u64> PciEcam::address(PciFunction function, u32 offset, u32 bytes) const {
  if ((bytes != 1 && bytes != 2 && bytes != 4) || offset % bytes != 0) return fail(Error::InvalidArgument);
  if (offset >= kFunctionSize) return fail(Error::OutOfRange);
  const HpaRange registers = TRY(registers_of(function));
  return registers.base.value() + offset;
}

Result<u32> PciEcam::read(PciFunction function, u32 offset, u32 bytes) const {
  const u64 at = TRY(address(function, offset, bytes));
  if (bytes == 1) return arch::mmio_read8(at);
  return bytes == 2 ? arch::mmio_read16(at) : arch::mmio_read32(at);
}

Result<void> PciEcam::write(PciFunction function, u32 offset, u32 bytes, u32 value) const {
  const u64 at = TRY(address(function, offset, bytes));
  if (bytes == 1) {
    arch::mmio_write8(at, static_cast<u8>(value));
  } else if (bytes == 2) {
    arch::mmio_write16(at, static_cast<u16>(value));
  } else {
    arch::mmio_write32(at, value);
  }
  return {};
}

}  // namespace ax::drivers
