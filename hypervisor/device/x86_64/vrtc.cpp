#include "hypervisor/device/x86_64/vrtc.hpp"

#include <algorithm>

namespace hv {
namespace {

constexpr u64 kHz = 32'768;
constexpr u64 kSecondMask = kHz - 1;
constexpr u64 kUpdateTicks = 8;  // UIP comes 244 us before the update

// MC146818 address map.
enum Index : u8 {
  kSecond,
  kSecondAlarm,
  kMinute,
  kMinuteAlarm,
  kHour,
  kHourAlarm,
  kWeekday,
  kDay,
  kMonth,
  kYear,
  kA,
  kB,
  kC,
  kD,
  kCentury = 0x32,
};
constexpr unsigned kCenturyField = 10;

constexpr u8 kUpdateInProgress = 1u << 7;  // register A
constexpr u8 kRateBits = 0x0f;
constexpr u8 kAReset = 0x26;

// Register B, and in register C the flags at the places of their enable bits.
constexpr u8 kSet = 1u << 7;
constexpr u8 kPeriodic = 1u << 6;
constexpr u8 kAlarm = 1u << 5;
constexpr u8 kUpdate = 1u << 4;
constexpr u8 kInterrupts = kPeriodic | kAlarm | kUpdate;
constexpr u8 kBinary = 1u << 2;
constexpr u8 kHours24 = 1u << 1;
constexpr u8 kInterruptRequest = 1u << 7;
constexpr u8 kValid = 1u << 7;  // register D

constexpr u8 kAnyValue = 0xc0;  // an alarm register with both bits set matches everything
constexpr u8 kAfternoon = 1u << 7;

// CMOS memory sizes as the firmware of a PC leaves them.
constexpr u8 kBaseMemory = 0x15, kExtendedMemory = 0x17, kExtendedMemoryCopy = 0x30, kAbove16M = 0x34, kAbove4G = 0x5b;
constexpr u64 kBaseKiB = 640;

constexpr u64 kDaySeconds = 86'400;

/// Days from 1970-01-01 to the civil date: years begin in March, so that the leap day is the last of them.
constexpr u64 days_from_civil(u64 year, u64 month, u64 day) {
  if (month <= 2) --year;
  const u64 era_year = year % 400, march_month = (month + 9) % 12;
  const u64 day_of_era = era_year * 365 + era_year / 4 - era_year / 100 + (153 * march_month + 2) / 5 + day - 1;
  return year / 400 * 146'097 + day_of_era - 719'468;
}

struct Civil {
  u64 year, month, day;
};
constexpr Civil civil_from_days(u64 days) {
  days += 719'468;
  const u64 day_of_era = days % 146'097;
  const u64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const u64 march_month = (5 * day_of_year + 2) / 153;
  const u64 month = march_month < 10 ? march_month + 3 : march_month - 9;
  return {days / 146'097 * 400 + year_of_era + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * march_month + 2) / 5 + 1};
}
static_assert(days_from_civil(1970, 1, 1) == 0 && days_from_civil(2000, 2, 29) == 11'016);
static_assert(civil_from_days(11'016).month == 2 && civil_from_days(11'016).day == 29);

}  // namespace

VRtc::VRtc(u64 tsc_hz, u64 wall_clock, u64 ram, u64 ram_below_4g, InterruptLine& irq8)
    : clock_(tsc_hz, kHz), irq8_(irq8), offset_(wall_clock) {
  const auto put = [this](u8 index, u64 value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) memory_[index + i] = static_cast<u8>(value >> 8 * i);
  };
  const u64 below = std::min(ram, ram_below_4g);
  const auto above = [below](u64 start) { return below > start ? below - start : 0; };
  put(kBaseMemory, kBaseKiB, 2);
  const u64 extended = std::min<u64>(above(1_MiB) >> 10, 0xffff);
  put(kExtendedMemory, extended, 2);
  put(kExtendedMemoryCopy, extended, 2);
  put(kAbove16M, std::min<u64>(above(16_MiB) >> 16, 0xffff), 2);
  put(kAbove4G, (ram - below) >> 16, 3);
  memory_[kA] = kAReset;
  memory_[kB] = kHours24;
  memory_[kD] = kValid;
  alarm_ = next_alarm(offset_);
}

void VRtc::power_on() {
  index_ = 0;
  memory_[kB] &= static_cast<u8>(~(kInterrupts | kSet));
  memory_[kC] = 0;
  schedule();
  update_interrupt();
}

// ---- formats ----

u8 VRtc::encode(u64 value) const {
  return static_cast<u8>((memory_[kB] & kBinary) != 0 ? value : value / 10 << 4 | value % 10);
}

unsigned VRtc::decode(u8 value) const {
  return (memory_[kB] & kBinary) != 0 ? value : (value >> 4) * 10u + (value & 15u);
}

u8 VRtc::encode_hour(unsigned hour) const {
  if ((memory_[kB] & kHours24) != 0) return encode(hour);
  return encode((hour + 11) % 12 + 1) | (hour >= 12 ? kAfternoon : 0);
}

unsigned VRtc::decode_hour(u8 value) const {
  if ((memory_[kB] & kHours24) != 0) return decode(value);
  return decode(value & ~kAfternoon & 0xff) % 12 + ((value & kAfternoon) != 0 ? 12 : 0);
}

VRtc::Fields VRtc::fields(u64 seconds) const {
  const u64 days = seconds / kDaySeconds, time = seconds % kDaySeconds;
  const Civil date = civil_from_days(days);
  Fields result{};
  result[kSecond] = encode(time % 60);
  result[kMinute] = encode(time / 60 % 60);
  result[kHour] = encode_hour(static_cast<unsigned>(time / 3600));
  result[kWeekday] = encode((days + 4) % 7 + 1);  // 1970-01-01 was a Thursday; Sunday is 1
  result[kDay] = encode(date.day);
  result[kMonth] = encode(date.month);
  result[kYear] = encode(date.year % 100);
  result[kCenturyField] = encode(date.year / 100);
  return result;
}

/// Fields out of range carry over into the next larger one.
u64 VRtc::from_fields(const Fields& from) const {
  const u64 year = decode(from[kCenturyField]) * 100u + decode(from[kYear]);
  const u64 month = std::clamp(decode(from[kMonth]), 1u, 12u);
  const u64 days = days_from_civil(std::max<u64>(year, 1970), month, std::max(decode(from[kDay]), 1u));
  const u64 minutes = u64{decode_hour(from[kHour])} * 60 + decode(from[kMinute]);
  return days * kDaySeconds + minutes * 60 + decode(from[kSecond]);
}

// ---- flags and deadlines ----

bool VRtc::halted() const { return (memory_[kB] & kSet) != 0; }

/// The period is 2 to this power ticks; 0: none. With a 32768 Hz time base, rates 1 and 2 are those of 8 and 9.
unsigned VRtc::period_shift() const {
  const unsigned rate = memory_[kA] & kRateBits;
  if (rate == 0) return 0;
  return rate <= 2 ? rate + 6 : rate - 1;
}

/// The first second after `after` that the alarm registers match: each step skips to the next hour, minute or second.
u64 VRtc::next_alarm(u64 after) const {
  const auto matches = [](u8 alarm, u8 value) { return (alarm & kAnyValue) == kAnyValue || alarm == value; };
  for (u64 at = after + 1; at <= after + kDaySeconds;) {
    const u64 time = at % kDaySeconds;
    if (!matches(memory_[kHourAlarm], encode_hour(static_cast<unsigned>(time / 3600)))) {
      at += 3600 - time % 3600;
    } else if (!matches(memory_[kMinuteAlarm], encode(time / 60 % 60))) {
      at += 60 - time % 60;
    } else if (!matches(memory_[kSecondAlarm], encode(time % 60))) {
      ++at;
    } else {
      return at;
    }
  }
  return kNoDeadline;
}

/// Brings the flags of register C up to `now`.
void VRtc::settle(u64 now) {
  const u64 tick = std::max(clock_.ticks(now), settled_);
  const u64 second = seconds(tick);
  u8 flags = 0;
  if (const unsigned shift = period_shift(); shift != 0 && tick >> shift != settled_ >> shift) flags |= kPeriodic;
  if (second != seconds(settled_) && !halted()) {
    flags |= kUpdate;
    if (second >= alarm_) flags |= kAlarm;
  }
  if (second >= alarm_) alarm_ = next_alarm(second);
  settled_ = tick;
  memory_[kC] |= flags;
  update_interrupt();
}

void VRtc::update_interrupt() {
  const bool assert = (memory_[kB] & memory_[kC] & kInterrupts) != 0;
  memory_[kC] = static_cast<u8>((memory_[kC] & ~kInterruptRequest) | (assert ? kInterruptRequest : 0));
  if (assert == asserted_) return;
  asserted_ = assert;
  irq8_.set(assert);
}

/// An interrupt whose flag is set already does not come again before the flag is read.
void VRtc::schedule() {
  const u8 wanted = memory_[kB] & ~memory_[kC];
  const unsigned shift = period_shift();
  u64 tick = kNoDeadline;
  if ((wanted & kPeriodic) != 0 && shift != 0) tick = ((settled_ >> shift) + 1) << shift;
  if (!halted()) {
    if ((wanted & kUpdate) != 0) tick = std::min(tick, ((settled_ >> 15) + 1) << 15);
    if ((wanted & kAlarm) != 0 && alarm_ != kNoDeadline) tick = std::min(tick, (alarm_ - offset_) << 15);
  }
  deadline_ = tick == kNoDeadline ? kNoDeadline : clock_.tsc(tick);
}

void VRtc::run_timer(u64 now) {
  if (deadline_ > now) return;
  settle(now);
  schedule();
}

// ---- ports ----

u8 VRtc::read(u16 port, u64 now) {
  if ((port & 1) == 0) return 0xff;
  settle(now);
  const u64 second = seconds(settled_);
  switch (index_) {
    case kSecondAlarm:
    case kMinuteAlarm:
    case kHourAlarm: return memory_[index_];
    case kA: {
      const bool soon = (settled_ & kSecondMask) >= kHz - kUpdateTicks;
      return memory_[kA] | (soon && !halted() ? kUpdateInProgress : 0);
    }
    case kC: {
      const u8 flags = memory_[kC];
      memory_[kC] = 0;
      update_interrupt();
      schedule();
      return flags;
    }
    default: break;
  }
  if (index_ >= kTimeRegisters && index_ != kCentury) return memory_[index_];
  const Fields time = halted() ? frozen_ : fields(second);
  return time[index_ == kCentury ? kCenturyField : index_];
}

void VRtc::write_time(unsigned index, u8 value, u64 tick) {
  Fields time = halted() ? frozen_ : fields(seconds(tick));
  time[index] = value;
  if (halted())
    frozen_ = time;
  else
    offset_ = from_fields(time) - (tick >> 15);
}

void VRtc::write_b(u8 value, u64 tick) {
  const bool was_halted = halted();
  // Leaving SET, the registers are read in the format in which they were written: that of the new value.
  if (!was_halted && (value & kSet) != 0) frozen_ = fields(seconds(tick));
  memory_[kB] = (value & kSet) != 0 ? value & ~kUpdate & 0xff : value;
  if (was_halted && !halted()) offset_ = from_fields(frozen_) - (tick >> 15);
}

void VRtc::write(u16 port, u8 value, u64 now) {
  if ((port & 1) == 0) {
    index_ = value & 0x7f;
    return;
  }
  settle(now);
  const bool alarm = index_ == kSecondAlarm || index_ == kMinuteAlarm || index_ == kHourAlarm;
  if (index_ == kB) {
    write_b(value, settled_);
  } else if (index_ == kA) {
    memory_[kA] = value & ~kUpdateInProgress & 0xff;
  } else if (index_ == kCentury || (index_ < kTimeRegisters && !alarm)) {
    write_time(index_ == kCentury ? kCenturyField : index_, value, settled_);
  } else if (index_ != kC && index_ != kD) {
    memory_[index_] = value;
  }
  if (index_ < kC || index_ == kCentury) alarm_ = next_alarm(seconds(settled_));
  update_interrupt();
  schedule();
}

}  // namespace hv
