// The generic watchdog of Arm's Base System Architecture (Arm DEN 0094 appendix A), as Linux's driver sbsa_gwdt knows it.
#pragma once

#include "hypervisor/device/mmio.hpp"
#include "hypervisor/device/watchdog.hpp"

namespace hv {

/// Two pages, the refresh frame and the control frame. The offset register counts half of the time, as in hardware: its first end
/// is an interrupt, which the owner raises and every meal lowers, its second end is the guest's.
/// Any vCPU, without a lock. `now`: the VM's time.
namespace sbsa_watchdog {
inline constexpr u64 kSize = 2 * kPageSize;
inline constexpr u64 kControlFrame = kPageSize;

u64 read(const Watchdog& watchdog, const MmioAccess& access, u64 now);
void write(Watchdog& watchdog, const MmioAccess& access, u64 value, u64 now);
}  // namespace sbsa_watchdog

}  // namespace hv
