#include "kernel/drivers/cmos_clock.hpp"

#include <arch/port.hpp>
#include <array>

namespace ax::drivers {
namespace {

constexpr u16 kIndexPort = 0x70, kDataPort = 0x71;
constexpr u8 kStatusA = 0x0a, kStatusB = 0x0b;
constexpr u8 kUpdateInProgress = 1 << 7;  // A
constexpr u8 kBinary = 1 << 2, k24Hours = 1 << 1;  // B
constexpr u8 kAfternoon = 1 << 7;  // of the hour, in 12-hour mode
constexpr u64 kSecondsPerDay = 86400;

/// Seconds, minutes, hours, day, month, year of the century.
using Fields = std::array<u8, 6>;
constexpr Fields kRegisters = {0x00, 0x02, 0x04, 0x07, 0x08, 0x09};

u8 read_register(u8 index) {
  arch::port_write8(kIndexPort, index);
  return arch::port_read8(kDataPort);
}

Fields read_fields() {
  constexpr unsigned kMaxPolls = 10'000;  // an update takes 2 ms at most
  for (unsigned polls = 0; polls < kMaxPolls && (read_register(kStatusA) & kUpdateInProgress) != 0; ++polls) {
  }
  Fields fields{};
  for (usize i = 0; i < fields.size(); ++i) fields[i] = read_register(kRegisters[i]);
  return fields;
}

constexpr unsigned from_bcd(u8 value) { return (value >> 4) * 10u + (value & 15); }

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted from a March so that leap days come last.
constexpr u64 days_since_1970(unsigned year, unsigned month, unsigned day) {
  const unsigned y = month <= 2 ? year - 1 : year;
  const unsigned m = month <= 2 ? month + 9 : month - 3;
  constexpr u64 kDaysToMarch1970 = 719468;  // from 0000-03-01
  return u64{365} * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - kDaysToMarch1970;
}
static_assert(days_since_1970(1970, 1, 1) == 0 && days_since_1970(2024, 2, 29) == 19782);

}  // namespace

u64 time_of_day() {
  // The same twice: no update came in between.
  constexpr unsigned kMaxReads = 10;
  Fields fields = read_fields();
  unsigned reads = 1;
  for (Fields again = read_fields(); again != fields; again = read_fields()) {
    if (++reads == kMaxReads) return 0;
    fields = again;
  }

  const u8 mode = read_register(kStatusB);
  const auto number = [&](u8 value) { return (mode & kBinary) != 0 ? unsigned{value} : from_bcd(value); };
  const bool afternoon = (mode & k24Hours) == 0 && (fields[2] & kAfternoon) != 0;
  unsigned hour = number(static_cast<u8>(fields[2] & ((mode & k24Hours) != 0 ? 0xff : ~kAfternoon)));
  if ((mode & k24Hours) == 0) hour = hour % 12 + (afternoon ? 12 : 0);
  const unsigned second = number(fields[0]), minute = number(fields[1]), day = number(fields[3]), month = number(fields[4]);
  const unsigned year = 2000 + number(fields[5]);
  if (second > 60 || minute > 59 || hour > 23 || day == 0 || day > 31 || month == 0 || month > 12 || year > 2099) return 0;
  return days_since_1970(year, month, day) * kSecondsPerDay + (hour * 60 + minute) * u64{60} + second;
}

}  // namespace ax::drivers
