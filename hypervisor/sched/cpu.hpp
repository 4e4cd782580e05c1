// One physical CPU as the hypervisor sees it: what it runs, what it waits for, and its main loop.
#pragma once

#include <atomic>

#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/sched/scheduler.hpp"
#include "hypervisor/sched/thread.hpp"
#include "kernel/percpu/per_cpu.hpp"

namespace hv {

class Vcpu;
class Hypervisor;

/// Members are for this CPU alone, interrupts masked, unless they say otherwise.
class Cpu {
 public:
  Cpu(Hypervisor& owner, LoadBoard& board, unsigned cpu_index)
      : hypervisor(owner), index(cpu_index), board_(board), scheduler_(board, cpu_index) {}

  /// The CPU this code runs on. The caller must not be preempted: interrupts masked.
  static Cpu& current() { return percpu::program<Cpu>(); }

  /// The main loop: runs tasks in turn, sleeps when there are none. On the CPU's own stack, interrupts masked.
  [[noreturn]] void run();

  /// Makes `task` look up: a blocked one becomes ready, a running vCPU leaves its guest and looks at its requests. Any CPU,
  /// any context; never waits.
  void notify(Task& task);

  /// Acknowledges and handles every pending physical interrupt.
  void handle_interrupts();

  /// Gives the CPU from the running thread to the loop; returns when the thread is picked again. `next` says whether it
  /// stays in the run queue or waits for a notification.
  void leave_thread(Task::State next);

  /// Called at the end of an interrupt that arrived while a thread ran.
  void preempt_thread_if_needed();

  u64 now() const;
  void arm(Deadline& deadline, u64 ticks);
  void cancel(Deadline& deadline);
  /// The timer's interrupt was taken: it must be programmed again.
  void timer_expired();

  Hypervisor& hypervisor;
  const unsigned index;
  Task* running = nullptr;
  Vcpu* loaded = nullptr;  ///< whose registers, stage 2 and virtual interrupts are in the hardware
  bool reschedule = false;
  std::atomic<u64> rounds{0};  ///< times the inbox was emptied: what was posted before a change has been handled

 private:
  void drain_inbox(u64 time);
  void attend(Task& task, u64 time);
  void share_load(u64 time);
  void set_next_event();
  void idle();
  void run_thread(Thread& thread);
  void program_timer();
  void kick(unsigned cpu);
  static void look_again(Deadline& deadline);

  /// When the scheduler has to be asked again.
  struct NextEvent : Deadline {
    explicit NextEvent(Cpu& c) : Deadline(&Cpu::look_again), cpu(c) {}
    Cpu& cpu;
  };

  LoadBoard& board_;
  Scheduler scheduler_;
  Inbox inbox_;  ///< written by every CPU
  DeadlineQueue deadlines_;
  u64 programmed_ = DeadlineQueue::kNever;
  NextEvent next_event_{*this};
  u64 loop_sp_ = 0;  ///< the loop's stack pointer while a thread runs
};

}  // namespace hv
