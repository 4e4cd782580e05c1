// What CPUs know of each other's load, to decide where a task runs soonest.
#pragma once

#include <array>
#include <atomic>
#include <board_config.hpp>

#include "hypervisor/sched/task.hpp"

namespace hv {

/// Counts of the tasks that run or could run, per CPU and priority. Everybody may read everything at any time and gets a hint;
/// a CPU that goes to sleep and one that gets a task too many cannot both miss the other (all accesses are totally ordered).
class LoadBoard {
 public:
  void add(unsigned cpu, unsigned priority) { cpus_[cpu].runnable.fetch_add(unit(priority)); }
  void remove(unsigned cpu, unsigned priority) { cpus_[cpu].runnable.fetch_sub(unit(priority)); }

  /// How many tasks of `cpu` go before one of `priority`, and how many are its equals.
  struct Rivals {
    unsigned higher = 0;
    unsigned equal = 0;
    bool none() const { return higher + equal == 0; }
  };
  Rivals rivals(unsigned cpu, unsigned priority) const {
    u64 counts = cpus_[cpu].runnable.load() >> shift(priority);
    Rivals rivals{.equal = static_cast<unsigned>(counts & kCount)};
    for (counts >>= kBits; counts != 0; counts >>= kBits) rivals.higher += counts & kCount;
    return rivals;
  }

  /// The CPUs that a task which waits on `cpu` may run on as well.
  void offer(unsigned cpu, u64 others) {
    if (cpus_[cpu].offered.load(std::memory_order_relaxed) != others) cpus_[cpu].offered.store(others);
  }
  /// A CPU below `count` where a task waits that may run on `cpu`; `count` if there is none.
  unsigned find_offer(unsigned cpu, unsigned count) const {
    unsigned other = 0;
    while (other < count && (cpus_[other].offered.load() >> cpu & 1) == 0) ++other;
    return other;
  }

 private:
  static constexpr unsigned kBits = 8;
  static constexpr u64 kCount = (u64{1} << kBits) - 1;
  static constexpr unsigned kSlots = 64 / kBits;
  /// Host threads share the slot of the highest guests: they never run for long.
  static constexpr unsigned shift(unsigned priority) { return kBits * (priority < kSlots ? priority : kSlots - 1); }
  static constexpr u64 unit(unsigned priority) { return u64{1} << shift(priority); }

  struct alignas(64) Load {
    std::atomic<u64> runnable{0};  ///< one count per priority
    std::atomic<u64> offered{0};
  };
  std::array<Load, board::kMaxCpus> cpus_{};
};

}  // namespace hv
