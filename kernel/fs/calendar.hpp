// Days and seconds, as FAT writes them.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::fs {

/// FAT's specification 6.1: years from 1980 on, in steps of two seconds, of no particular time zone: UTC here.
struct FatTime {
  u16 date = 0, time = 0;
};

struct Date {
  u32 year, month, day;
};

/// Of the day that is so many days after 1 January 1970, in the Gregorian calendar.
constexpr Date date_of(u64 days) {
  // Years that begin in March have their leap day at the end; 1 March 1600 begins a cycle of 400 years.
  constexpr u64 kTo1970 = 135080, kCycle = 146097;
  const u64 d = days + kTo1970, cycle = d / kCycle, in_cycle = d % kCycle;
  const u64 year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
  const u64 in_year = in_cycle - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
  const u32 calendar_month = static_cast<u32>(month < 10 ? month + 3 : month - 9);
  return {static_cast<u32>(1600 + cycle * 400 + year + (calendar_month <= 2)), calendar_month, static_cast<u32>(in_year - (153 * month + 2) / 5 + 1)};
}

constexpr u64 days_to(Date date) {
  constexpr u64 kTo1970 = 135080, kCycle = 146097;
  const u64 year = date.year - 1600 - (date.month <= 2), in_cycle = year % 400;
  const u64 month = date.month > 2 ? date.month - 3 : date.month + 9;
  return year / 400 * kCycle + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + (153 * month + 2) / 5 + date.day - 1 - kTo1970;
}
static_assert(days_to({1970, 1, 1}) == 0 && days_to({2000, 2, 29}) == 11016 && date_of(11016).day == 29 && date_of(11016).month == 2);

inline constexpr u64 kSecondsPerDay = 86400;

constexpr FatTime to_fat_time(u64 seconds) {
  constexpr u64 k1980 = days_to({1980, 1, 1}), kLast = days_to({2107, 12, 31});
  u64 days = seconds / kSecondsPerDay, rest = seconds % kSecondsPerDay;
  if (days < k1980 || days > kLast) days = k1980, rest = 0;
  const Date date = date_of(days);
  return {static_cast<u16>((date.year - 1980) << 9 | date.month << 5 | date.day),
          static_cast<u16>(rest / 3600 << 11 | rest / 60 % 60 << 5 | rest % 60 / 2)};
}

/// Whatever the numbers are.
constexpr u64 from_fat_time(FatTime t) {
  const u32 month = t.date >> 5 & 15, day = t.date & 31;
  const Date date{1980u + (t.date >> 9), month < 1 || month > 12 ? 1 : month, day == 0 ? 1 : day};
  return days_to(date) * kSecondsPerDay + (t.time >> 11) * 3600u + (t.time >> 5 & 63) * 60u + (t.time & 31) * 2u;
}
static_assert(from_fat_time(to_fat_time(1'700'000'000)) == 1'700'000'000);

}  // namespace ax::fs
