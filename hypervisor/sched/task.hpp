// What a CPU runs: a virtual CPU or a host thread.
#pragma once

#include "hypervisor/sched/inbox.hpp"

namespace hv {

/// How a task is scheduled. Times are host timer ticks.
struct Scheduling {
  u8 priority = 0;  ///< 0 to kThreadPriority, the highest
  u64 slice = 0;    ///< longest turn among tasks of the same priority; above 0
  u64 budget = 0;   ///< most that it runs in each period; 0: no limit
  u64 period = 0;   ///< only with a budget, which it is not below
  u64 cpus = 0;     ///< bit N: it may run on CPU N
};

/// Guests have priorities 0 to 7 (kMaxPriority in vm_config.hpp), and none of them keeps the host's threads from running.
inline constexpr u8 kThreadPriority = 8;

/// The part of a vCPU or host thread that scheduling needs. All but `cpu` and the letter belongs to the CPU that the task is
/// on, and only that CPU may change `cpu`; others post a notification (see Cpu::notify).
struct Task : Letter {
  enum class Kind : u8 { Vcpu, Thread };
  enum class State : u8 {
    Blocked,  ///< waits for a notification, or is on its way to another CPU
    Ready,    ///< waits for its CPU, or for its next period
    Running,
  };

  Task(Kind k, unsigned cpu_index, const Scheduling& how) : Letter(cpu_index), kind(k), scheduling(how) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  const Kind kind;
  State state = State::Blocked;
  bool moving = false;  ///< in no CPU's scheduler, but counted in the load of the one it goes to
  Scheduling scheduling;

  // Scheduler's own.
  u8 level = 0;            ///< of the queue that it is in
  bool exhausted = false;  ///< Ready, but its budget is used up: waits for `period_end`
  Task* queue_next = nullptr;
  i64 slice_left = 0;
  i64 budget_left = 0;   ///< of this period; negative: it ran for longer, which the next period pays for
  u64 period_end = 0;    ///< 0: it has not run yet
  u64 ready_since = 0;   ///< while Ready
  u64 on_cpu_since = 0;  ///< when it came to this CPU
  u64 waited = 0;        ///< ticks for which it could have run and did not
  u64 ran = 0;           ///< ticks for which it ran
};

}  // namespace hv
