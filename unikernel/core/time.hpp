// Time as programs see it, and waiting for it.
#pragma once

#include <arch/timer.hpp>

#include "kernel/base/types.hpp"

namespace ax::uni {

inline constexpr u64 kNanosecondsPerSecond = 1'000'000'000;

/// struct timespec of 64-bit Linux.
struct TimeSpec {
  i64 seconds;
  i64 nanoseconds;

  constexpr bool is_right() const {
    return seconds >= 0 && nanoseconds >= 0 && nanoseconds < static_cast<i64>(kNanosecondsPerSecond);
  }
  /// Saturates.
  constexpr u64 in_nanoseconds() const {
    constexpr u64 kMost = ~u64{0} / kNanosecondsPerSecond - 1;
    if (static_cast<u64>(seconds) > kMost) return ~u64{0};
    return static_cast<u64>(seconds) * kNanosecondsPerSecond + static_cast<u64>(nanoseconds);
  }
  static constexpr TimeSpec of(u64 nanoseconds) {
    return {static_cast<i64>(nanoseconds / kNanosecondsPerSecond), static_cast<i64>(nanoseconds % kNanosecondsPerSecond)};
  }
};

/// Nanoseconds since the machine was started.
u64 monotonic_now();

/// What the timer shows then, or a moment later.
u64 ticks_at(u64 nanoseconds);

/// The timer's interrupt, without threads: masked until the next wait, which it may have ended too early - some count less far.
void timer_has_come();

/// A deadline that never comes.
inline constexpr u64 kNever = ~u64{0};

/// What waits in place of this thread while others may run. `deadline` is in terms of monotonic_now(). Without threads a CPU
/// waits for an interrupt, or spins if none has been started.
struct WaitHooks {
  void (*sleep_until)(u64 deadline) = nullptr;
  void (*yield)() = nullptr;
  void (*wait_for_word)(const u32* word, u32 value, u64 deadline) = nullptr;
  void (*wake)(const u32* word, u64 count) = nullptr;
};
void set_wait_hooks(const WaitHooks& hooks);
void sleep_until(u64 deadline);
void yield();
/// Waits while `*word` is `value`, at most until `deadline`, or until somebody wakes who waits for the word.
void wait_for_word(const u32* word, u32 value, u64 deadline);
void wake_one(const u32* word);
void wake_all(const u32* word);

/// Nanoseconds that CLOCK_REALTIME is ahead of monotonic_now(); 0 until a service knows better.
void set_wall_clock(u64 offset);
u64 wall_clock_offset();

}  // namespace ax::uni
