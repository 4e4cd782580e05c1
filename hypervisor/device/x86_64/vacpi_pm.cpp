#include "hypervisor/device/x86_64/vacpi_pm.hpp"

namespace hv {
namespace {

// ACPI 4.8.3.1 and 4.8.3.2.
constexpr unsigned kStatus = 0, kEnable = 2, kControl = 4, kTimer = 8;
constexpr u16 kTimerCarry = 1u << 0;
constexpr u16 kGlobalLock = 1u << 5;
constexpr u16 kPowerButton = 1u << 8;
constexpr u16 kRealTimeClock = 1u << 10;  // never happens; Linux insists that it can be enabled
constexpr u16 kEvents = kTimerCarry | kGlobalLock | kPowerButton | kRealTimeClock;
constexpr u16 kSciEnable = 1u << 0;
constexpr u16 kControlKept = 0x1c02;  // sleep type, bus master reload
constexpr unsigned kSleepTypeShift = 10;
constexpr u16 kSleepEnable = 1u << 13;

constexpr u32 kTimerMask = 0xff'ffff;
constexpr unsigned kTopBit = 23;

constexpr u32 size_mask(u32 size) { return size >= 4 ? ~0u : (1u << size * 8) - 1; }

}  // namespace

void VAcpiPm::power_on() {
  status_ = enable_ = control_ = 0;
  refresh();
}

void VAcpiPm::settle(u64 now) {
  const u64 half = clock_.ticks(now) >> kTopBit;
  if (half > half_) {
    half_ = half;
    status_ |= kTimerCarry;
  }
  refresh();
}

void VAcpiPm::refresh() {
  const bool timer = (enable_ & ~status_ & kTimerCarry) != 0;
  deadline_ = timer ? clock_.tsc((half_ + 1) << kTopBit) : kNoDeadline;
  const bool assert = (status_ & enable_) != 0;
  if (assert == asserted_) return;
  asserted_ = assert;
  sci_.set(assert);
}

void VAcpiPm::run_timer(u64 now) {
  if (deadline_ <= now) settle(now);
}

void VAcpiPm::press_power_button() {
  status_ |= kPowerButton;
  refresh();
}

u32 VAcpiPm::read(unsigned offset, u32 size, u64 now) {
  if (offset >= kTimer) return (static_cast<u32>(clock_.ticks(now)) & kTimerMask) >> (offset & 3) * 8 & size_mask(size);
  settle(now);
  const u16 control = control_ | kSciEnable;
  const u64 block = u64{status_} | u64{enable_} << 16 | u64{control} << 32;
  return static_cast<u32>(block >> offset * 8) & size_mask(size);
}

void VAcpiPm::write(unsigned offset, u32 size, u32 value, u64 now) {
  if (offset >= kTimer) return;
  settle(now);
  const u64 mask = u64{size_mask(size)} << offset * 8;
  const u64 bits = u64{value} << offset * 8 & mask;
  const auto field = [](u64 block, unsigned at) { return static_cast<u16>(block >> at * 8); };
  status_ &= static_cast<u16>(~field(bits, kStatus));  // write one to clear
  enable_ = static_cast<u16>(((enable_ & ~field(mask, kEnable)) | field(bits, kEnable)) & kEvents);
  control_ = static_cast<u16>(((control_ & ~field(mask, kControl)) | field(bits, kControl)) & kControlKept);
  refresh();
  const bool sleep = (field(bits, kControl) & kSleepEnable) != 0;
  if (sleep && (control_ >> kSleepTypeShift & 7) == kSleepTypeS5) host_.power_off();
}

}  // namespace hv
