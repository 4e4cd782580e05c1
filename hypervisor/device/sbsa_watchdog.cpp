#include "hypervisor/device/sbsa_watchdog.hpp"

namespace hv::sbsa_watchdog {
namespace {

enum Register : u64 {
  kRefresh = 0x000,                  // WRR
  kStatus = kControlFrame + 0x000,   // WCS
  kOffset = kControlFrame + 0x008,   // WOR, revision 0: 32 bits
  kCompare = kControlFrame + 0x010,  // WCV
  kCompareHigh = kCompare + 4,
};
constexpr u64 kEnabled = 1 << 0, kFirstStage = 1 << 1;  // WCS
constexpr u64 kOffsetMax = 0xffff'ffff;

}  // namespace

u64 read(const Watchdog& watchdog, const MmioAccess& access, u64 now) {
  const u64 half = watchdog.span() / 2;
  const u64 first = watchdog.half();  // end of the first stage
  const u64 compare = now < first ? first : watchdog.due();
  switch (access.offset) {
    case kStatus: return kEnabled | (now < first ? 0 : kFirstStage);
    case kOffset: return half < kOffsetMax ? half : kOffsetMax;
    case kCompare: return extract_bytes(compare, 0, access.size);
    case kCompareHigh: return compare >> 32;
    default: return 0;  // identification: revision 0
  }
}

// Whatever is written to these feeds it.
void write(Watchdog& watchdog, const MmioAccess& access, u64 value, u64 now) {
  switch (access.offset) {
    case kRefresh:
    case kStatus: return watchdog.feed(now);
    case kOffset: return watchdog.set_span(2 * (value & kOffsetMax), now);
    default: return;
  }
}

}  // namespace hv::sbsa_watchdog
