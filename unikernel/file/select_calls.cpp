// The service `select`: select() and pselect().
#include <algorithm>
#include <array>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/wait_for_files.hpp"

namespace ax::uni {
namespace {

constexpr usize kWords = 1024 / 64;  // of a set
using Set = std::array<u64, kWords>;

bool has(const u64* set, u64 descriptor) { return set != nullptr && (set[descriptor / 64] >> descriptor % 64 & 1) != 0; }

i64 select_until(u64 count, u64* readers, u64* writers, u64* others, u64 deadline) {
  if (count > kWords * 64) return kInvalid;
  Set can_read{}, can_write{};
  const i64 found = wait_for_files(deadline, [&](bool& polled) -> i64 {
    i64 ready = 0;
    for (u64 i = 0; i < count; ++i) {
      const bool reads = has(readers, i), writes = has(writers, i);
      if (!reads && !writes && !has(others, i)) continue;
      const u32 now = ready_now(i, (reads ? kReadable : 0u) | (writes ? kWritable : 0u), polled);
      if ((now & kReadyInvalid) != 0) return kBadFile;
      // What has ended can be read, and what is broken written, without waiting.
      const u64 bit = u64{1} << i % 64;
      if (reads && now != 0 && (now & (kReadable | kHungUp | kReadyError)) != 0) can_read[i / 64] |= bit, ++ready;
      if (writes && (now & (kWritable | kReadyError)) != 0) can_write[i / 64] |= bit, ++ready;
    }
    return ready;
  });
  if (found < 0) return found;
  for (usize word = 0; word * 64 < count; ++word) {
    if (readers != nullptr) readers[word] = can_read[word];
    if (writers != nullptr) writers[word] = can_write[word];
    if (others != nullptr) others[word] = 0;
  }
  return found;
}

struct Mask {
  const u64* signals;
  u64 size;
};

i64 select(u64 count, u64* readers, u64* writers, u64* others, const TimeSpec* time, const Mask* mask) {
  if (time != nullptr && !time->is_right()) return kInvalid;
  const u64 deadline = deadline_after(time);
  const SignalMaskWhileWaiting masked(mask == nullptr ? nullptr : mask->signals);
  return select_until(count, readers, writers, others, deadline);
}

/// struct timeval: microseconds.
[[maybe_unused]] i64 select_microseconds(u64 count, u64* readers, u64* writers, u64* others, const TimeSpec* time) {
  if (time == nullptr) return select_until(count, readers, writers, others, kNever);
  const TimeSpec exact{time->seconds, time->nanoseconds * 1000};
  return exact.is_right() ? select_until(count, readers, writers, others, deadline_after(&exact)) : i64{kInvalid};
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_pselect6, system_call<select>},
#ifdef AX_NR_select
    {AX_NR_select, system_call<select_microseconds>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_select{"select", ax::uni::kCalls, nullptr};
