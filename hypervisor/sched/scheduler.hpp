// Which task a CPU runs, and for how long. Plain logic: the caller says what time it is.
//
// Fixed priorities, turns among equals, budgets. The most urgent ready task runs. Tasks of the same priority take turns of one
// slice each. A task with a budget runs for that long in each period, then waits for the next one; periods follow each other
// without gaps from its first run on. A host thread beyond its budget goes on as long as nobody else wants the CPU.
#pragma once

#include <array>
#include <optional>

#include "hypervisor/sched/load_board.hpp"

namespace hv {

/// One CPU's. Not for several CPUs at once, as all that belongs to a CPU; the board is shared.
class Scheduler {
 public:
  static constexpr u64 kNever = ~u64{0};

  Scheduler(LoadBoard& board, unsigned cpu) : board_(board), cpu_(cpu) {}

  /// `task`, which is Blocked, wants to run from now on: it has woken up, or come from another CPU.
  void add(Task& task, u64 now);
  /// A task that is Ready goes before all others, whatever its budget: it has to give up, not to run.
  void hasten(Task& task);

  /// Takes out the most urgent task and makes it Running; nullptr: there is none. The one before must have been stopped.
  Task* pick(u64 now);
  /// The one that pick() gave has stopped. If its state is Ready it is queued again, in front of its equals unless its slice is
  /// over; if it is Blocked it is out.
  void stop(Task& task, u64 now);
  /// When to stop the running task, or to pick one, even if nobody is added: kNever for one that is alone.
  u64 next_event() const;

  struct Move {
    Task* task;
    unsigned cpu;
  };
  /// Takes out a ready task, not the most urgent, that is better off on another of its CPUs: one that would run there at once,
  /// or has waited for a slice and has fewer rivals there. With one task more here than there, tasks take turns in being
  /// moved, so that all get the same. The task is Blocked and `moving` afterwards, and counts for the other CPU. `cpus`: how
  /// many exist.
  std::optional<Move> offload(unsigned cpus, u64 now);

 private:
  static constexpr unsigned kLevels = kThreadPriority + 1;
  /// A task that was moved to make shares even stays for so many slices.
  static constexpr u64 kSlicesBetweenMoves = 20;

  struct Queue {
    Task* head = nullptr;
    Task* tail = nullptr;
    void push_back(Task& task);
    void push_front(Task& task);
    void remove(Task& task);
  };

  static bool has_budget(const Task& task) { return task.scheduling.budget != 0; }
  void enqueue(Task& task, bool in_front);
  void dequeue(Task& task);
  void exhaust(Task& task);
  void release_exhausted(u64 now);
  Task* most_urgent();
  /// Calls `visit(task)` for every ready task, the most urgent first, until it returns false.
  template <class Visit>
  void for_each_waiting(Visit visit) const;
  void take_out(Task& task, unsigned cpu, u64 now);
  /// Where `task`, which waits here, is better off; this CPU if nowhere.
  unsigned better_cpu(const Task& task, unsigned cpus, u64 now) const;

  LoadBoard& board_;
  const unsigned cpu_;
  std::array<Queue, kLevels> ready_{};
  u32 levels_ = 0;     ///< bit N: ready_[N] is not empty
  Queue exhausted_{};  ///< Ready tasks without budget
  Task* running_ = nullptr;
  u64 started_ = 0;                     ///< when the running one did
  u64 last_turn_ = 0;                   ///< when a task was last moved only to make shares even
  const Task* longest_here_ = nullptr;  ///< of the ready tasks, the one whose turn it is to be moved; during offload()
};

}  // namespace hv
