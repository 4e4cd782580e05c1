// How threads wait for each other inside system calls. Without the service `threads` there is one thread, and it spins.
#pragma once

#include "unikernel/core/time.hpp"

namespace ax::uni {

/// Held across what takes long, such as a disk's answer: who finds it taken sleeps. Threads only, never interrupts; not recursive.
class Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  bool try_lock() {
    u32 expected = kFree;
    return __atomic_compare_exchange_n(&state_, &expected, kTaken, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
  }
  void lock() {
    if (try_lock()) return;
    while (__atomic_exchange_n(&state_, kWanted, __ATOMIC_ACQUIRE) != kFree) wait_for_word(&state_, kWanted, kNever);
  }
  void unlock() {
    if (__atomic_exchange_n(&state_, kFree, __ATOMIC_RELEASE) == kWanted) wake_one(&state_);
  }

 private:
  static constexpr u32 kFree = 0, kTaken = 1, kWanted = 2;  // wanted: somebody may be asleep

  u32 state_ = kFree;
};

class MutexGuard {
 public:
  explicit MutexGuard(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexGuard() { mutex_.unlock(); }
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;

 private:
  Mutex& mutex_;
};

/// Changes whenever something that threads wait for may have happened: read it, look whether that is so, and if not, wait.
u32 change_count();
/// Something has happened. Threads only.
void announce_change();
/// Until change_count() is no longer `seen`, at most until `deadline`.
void wait_for_change(u32 seen, u64 deadline);

}  // namespace ax::uni
