#include "kernel/drivers/hpet.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

constexpr u64 kCapabilitiesHigh = 0x004, kConfiguration = 0x010, kCounter = 0x0f0;
constexpr u32 kEnable = 1 << 0;
constexpr u64 kFemtosecondsPerSecond = 1'000'000'000'000'000;
constexpr u32 kMaxPeriod = 100'000'000;  // femtoseconds

}  // namespace

bool Hpet::start() {
  const u32 period = arch::mmio_read32(base_ + kCapabilitiesHigh);
  if (period == 0 || period > kMaxPeriod) return false;
  arch::mmio_write32(base_ + kConfiguration, arch::mmio_read32(base_ + kConfiguration) | kEnable);
  return true;
}

u64 Hpet::frequency() const { return kFemtosecondsPerSecond / arch::mmio_read32(base_ + kCapabilitiesHigh); }

u32 Hpet::now() const { return arch::mmio_read32(base_ + kCounter); }

}  // namespace ax::drivers
