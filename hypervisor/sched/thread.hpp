// Host threads: long work (loading images, life cycle) on a stack of its own, scheduled beside vCPUs and preemptible.
#pragma once

#include "hypervisor/sched/task.hpp"
#include "kernel/base/result.hpp"

namespace hv {

/// A thread of the hypervisor, pinned to one CPU. It goes before every guest for up to half of the time and takes what they leave
/// of the rest: the host answers whatever guests do, and long work does not keep them out. Never destroyed: the hypervisor's
/// threads live as long as it does.
class Thread : public Task {
 public:
  using Entry = void (*)(void* argument);

  /// Prepares a thread on `stack_top` (exclusive end of its stack, 16-byte aligned, owned by the caller, for good).
  /// It runs after the first Cpu::notify().
  Thread(unsigned cpu_index, Hva stack_top, Entry entry, void* argument);

  u64 saved_sp;  ///< while it does not run: its registers are on its stack, from here on
};

/// A flag that one thread waits for and anybody sets; a set that comes before the wait is not lost.
class Event {
 public:
  explicit Event(Thread& waiter) : waiter_(waiter) {}
  /// Any CPU, any context.
  void signal();
  /// Only the waiter itself, with no lock held. Clears the flag.
  void wait();

 private:
  Thread& waiter_;
  std::atomic<bool> set_{false};
};

}  // namespace hv
