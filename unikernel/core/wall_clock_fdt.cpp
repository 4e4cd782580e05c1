// Clocks that the machine's device tree describes: Arm's PL031 and the one of QEMU's RISC-V machine (Goldfish).
#include <arch/mmio.hpp>

#include "kernel/fdt/reader.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/time.hpp"
#include "unikernel/core/wall_clock.hpp"

namespace ax::uni {
namespace {

u64 read_pl031(u64 registers) {
  constexpr u64 kData = 0;  // seconds
  return u64{arch::mmio_read32(registers + kData)} * kNanosecondsPerSecond;
}

/// Reading the low half holds the high one.
u64 read_goldfish(u64 registers) {
  constexpr u64 kLow = 0, kHigh = 4;  // nanoseconds
  const u64 low = arch::mmio_read32(registers + kLow);
  return low | u64{arch::mmio_read32(registers + kHigh)} << 32;
}

}  // namespace

u64 read_wall_clock() {
  const auto tree = fdt::Fdt::parse(platform::machine().fdt);
  if (!tree) return 0;
  for (fdt::Node node : tree->nodes()) {
    const bool is_pl031 = node.is_compatible("arm,pl031");
    if (!node.is_enabled() || (!is_pl031 && !node.is_compatible("google,goldfish-rtc"))) continue;
    const auto registers = tree->reg(node);
    if (!registers || !platform::map_device({Hpa(registers->address), registers->size})) continue;
    return is_pl031 ? read_pl031(registers->address) : read_goldfish(registers->address);
  }
  return 0;
}

}  // namespace ax::uni
