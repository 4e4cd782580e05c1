// The watchdog of a PC guest: three ports that the ACPI table WDAT describes, so that Linux's driver wdat_wdt and Windows drive it.
#pragma once

#include "hypervisor/device/watchdog.hpp"

namespace hv {

/// Registers of 32 bits. kCountdown: milliseconds that are left; writing feeds it. kPeriod: milliseconds between two meals.
/// kControl: bit 0 says that it runs, which it always does.
/// Any vCPU, without a lock. `now`: the VM's time.
struct PortWatchdog {
  static constexpr u16 kPort = 0x620;
  static constexpr u16 kCountdown = kPort, kPeriod = kPort + 4, kControl = kPort + 8;
  static constexpr u16 kSize = 12;

  static constexpr bool owns(u16 port) { return port >= kPort && port < kPort + kSize; }

  static u32 read(const Watchdog& watchdog, u16 port, u64 now, u64 ticks_per_ms) {
    const u64 due = watchdog.due();
    switch (port) {
      case kCountdown: return static_cast<u32>((due > now ? due - now : 0) / ticks_per_ms);
      case kPeriod: return static_cast<u32>(watchdog.span() / ticks_per_ms);
      default: return port == kControl;
    }
  }
  static void write(Watchdog& watchdog, u16 port, u32 value, u64 now, u64 ticks_per_ms) {
    if (port == kCountdown) watchdog.feed(now);
    if (port == kPeriod) watchdog.set_span(value * ticks_per_ms, now);
  }
};

}  // namespace hv
