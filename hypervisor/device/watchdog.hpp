// The watchdog of a VM: a time until which the guest has to show that it is alive. The device through which it does so is its
// architecture's.
#pragma once

#include <atomic>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// It runs from the VM's start and cannot be stopped: a guest may only ask for a shorter time than its configuration says.
/// Times are
/// ticks of the VM's own time, so it stands still while the VM is paused. Fed by any vCPU, watched by the manager.
class Watchdog {
 public:
  static constexpr u64 kNever = ~u64{0};

  /// `limit`: the longest time between two meals; 0: there is no watchdog.
  explicit Watchdog(u64 limit) : limit_(limit), span_(limit), due_(limit == 0 ? kNever : limit) {}

  bool present() const { return limit_ != 0; }
  u64 limit() const { return limit_; }
  u64 span() const { return span_.load(std::memory_order_relaxed); }
  /// When the guest's time is up.
  u64 due() const { return due_.load(std::memory_order_relaxed); }

  /// When the first half of that is over: the device may warn the guest from then on.
  u64 half() const { return due() - span() / 2; }

  void feed(u64 now) {
    if (present()) due_.store(now + span(), std::memory_order_relaxed);
  }
  /// The guest wants to be watched more closely, or less so again. Feeds it.
  void set_span(u64 ticks, u64 now) {
    span_.store(ticks < limit_ ? ticks : limit_, std::memory_order_relaxed);
    feed(now);
  }

 private:
  const u64 limit_;
  std::atomic<u64> span_;
  std::atomic<u64> due_;
};

}  // namespace hv
