// Deadlines of one CPU, soonest first.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Something to do at a point in time. Owned by whoever embeds it, who must cancel it before it goes away.
class Deadline {
 public:
  using Callback = void (*)(Deadline&);
  constexpr explicit Deadline(Callback callback) : callback_(callback) {}
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool armed() const { return armed_; }
  u64 ticks() const { return ticks_; }

 private:
  friend class DeadlineQueue;
  Callback callback_;
  Deadline* next_ = nullptr;
  u64 ticks_ = 0;  ///< absolute time, in counter ticks
  bool armed_ = false;
};

/// Used by its own CPU only, interrupts masked. Kept as a sorted list: a CPU has a handful of deadlines (its time slice and
/// one timer per virtual CPU that is not loaded).
class DeadlineQueue {
 public:
  static constexpr u64 kNever = ~u64{0};

  /// Arms `deadline` for absolute time `ticks`; an armed one is moved.
  void arm(Deadline& deadline, u64 ticks);
  void cancel(Deadline& deadline);
  /// Takes every deadline that is due at `now` off the queue and calls it, soonest first. A callback may arm deadlines again.
  void run_due(u64 now);
  /// When run_due() has to be called next; kNever if nothing is armed.
  u64 next() const { return head_ == nullptr ? kNever : head_->ticks_; }

 private:
  Deadline* head_ = nullptr;
};

}  // namespace hv
