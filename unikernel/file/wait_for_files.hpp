// What poll(), select() and epoll have in common: waiting until one of several files is ready.
#pragma once

#include <algorithm>

#include "unikernel/core/signals.hpp"
#include "unikernel/core/waiting.hpp"
#include "unikernel/file/descriptors.hpp"

namespace ax::uni {

/// Of files that nobody announces (the console), in nanoseconds.
inline constexpr u64 kLookInterval = 1'000'000;

/// What `descriptor` is ready for, of `wanted` and what is always told; kReadyInvalid if it is not open. Sets `polled` if nobody
/// announces its changes.
inline u32 ready_now(u64 descriptor, u32 wanted, bool& polled) {
  const HeldFile file = hold(descriptor);
  if (!file) return kReadyInvalid;
  polled |= file.object().polled();
  return file.object().readiness() & (wanted | kReadyError | kHungUp);
}

/// Calls `look(polled)` until it returns something else than 0, or `deadline` has come: 0, or a signal is to be handled: -EINTR.
template <class Look>
i64 wait_for_files(u64 deadline, Look look) {
  for (;;) {
    const u32 seen = change_count();
    bool polled = false;
    if (const i64 found = look(polled); found != 0) return found;
    const u64 now = monotonic_now();
    if (now >= deadline) return 0;
    if (const i64 error = wait_interruptibly(seen, polled ? std::min(deadline, now + kLookInterval) : deadline, Restart::Never);
        error != 0)
      return error;
  }
}

/// When a wait of `time` from now on ends; nullptr: never.
inline u64 deadline_after(const TimeSpec* time) {
  if (time == nullptr) return kNever;
  const u64 now = monotonic_now(), length = time->in_nanoseconds();
  return length > kNever - now ? kNever : now + length;
}

}  // namespace ax::uni
