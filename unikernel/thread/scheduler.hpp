// Threads of the program on all CPUs: one queue of those that are ready, preemption by the timer, futexes.
#pragma once

#include <arch/cpu.hpp>
#include <array>
#include <atomic>

#include "kernel/base/intrusive_list.hpp"
#include "kernel/base/result.hpp"
#include "unikernel/core/signals.hpp"
#include "unikernel/core/time.hpp"

namespace ax::uni {

struct Thread {
  void* context = nullptr;  ///< while it does not run: for ax_switch_context()
  u64 thread_pointer = 0;
  u32 id = 0;
  bool idle = false;

  ListHook queue{};    ///< ready, or waiting for a futex
  ListHook all{};      ///< every thread that has not ended
  ListHook sleeper{};  ///< waiting for a deadline, besides
  u64 deadline = kNever;
  u64 futex = 0;  ///< address that it waits for; 0: none
  u32 futex_bits = 0;
  i64 wait_result = 0;
  ThreadSignals signals{};

  int (*function)(void*) = nullptr;
  void* argument = nullptr;
  i32* clear_at_exit = nullptr;  ///< set to 0 and woken when the thread has left its stack
  Range<Hva> stack_to_unmap{};
  u64 robust_list = 0;  ///< struct robust_list_head: what it has locked when it ends tells others so
};

/// Whoever comes first gets it: under an emulator or a hypervisor the CPU whose turn it would be may not be running.
class UnfairLock {
 public:
  void lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) {
      while (taken_.load(std::memory_order_relaxed)) arch::cpu_relax();
    }
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

class Scheduler {
 public:
  /// All CPUs from now on; the calling thread becomes the first one. Boot CPU.
  Scheduler();

  /// The thread that calls. It may run on another CPU a moment later, but stays the same.
  static Thread& current();

  /// A thread that is to run `function(argument)` on the stack that ends at `stack`. Error: OutOfMemory.
  Result<Thread*> create(int (*function)(void*), void* argument, u64 stack, u64 thread_pointer);
  /// Lets it run.
  void start(Thread& thread);
  /// The end of the calling thread; the last one's is the program's.
  [[noreturn]] void exit(unsigned status);

  void yield();
  void sleep_until(u64 deadline);

  /// Waits until somebody wakes `address`, if it holds `value`. 0, -EAGAIN or -ETIMEDOUT.
  i64 futex_wait(const u32* address, u32 value, u64 deadline, u32 bits);
  /// Wakes up to `count` waiters that have one of `bits`; returns how many.
  i64 futex_wake(const u32* address, u64 count, u32 bits);
  /// Wakes up to `wake`, and lets up to `move` others wait for `target` instead, if `address` holds `*expected` (when given).
  i64 futex_requeue(const u32* address, u64 wake, u64 move, const u32* target, const u32* expected);

  /// See interrupts.hpp.
  ThreadSignals* signals_of(u32 id);
  void interrupt_thread(u32 id, u64 signal);

  /// See signal_times_changed() in interrupts.hpp.
  void set_own_timer();

  /// An interrupt has come; the program's registers are saved but for vectors.
  void interrupt();
  /// A secondary CPU's life.
  [[noreturn]] void run_cpu(unsigned index);

 private:
  struct Cpu {
    Thread idle{};
    Thread* current = nullptr;
    Thread* left = nullptr;  ///< has just ended on this CPU and is not needed any more
    unsigned index = 0;
    bool waits = false;  ///< idle, and to be kicked when there is something to do
    bool must_switch = false;
  };
  using Queue = IntrusiveList<Thread, &Thread::queue>;
  using All = IntrusiveList<Thread, &Thread::all>;
  using Sleepers = IntrusiveList<Thread, &Thread::sleeper>;
  class Guard;

  static Cpu& this_cpu();
  static void begin(void* thread);
  static void begin_idle(void* scheduler);
  [[noreturn]] void idle();
  Queue& bucket(const u32* address) { return futexes_[reinterpret_cast<u64>(address) / sizeof(u32) % futexes_.size()]; }

  void switch_away();
  void after_switch();
  void make_ready(Thread& thread);
  void wait(Thread& thread, u64 deadline);
  void wake(Thread& thread, i64 result);
  void wake_sleepers();
  void interrupt_for_signal();
  void set_timer(const Cpu& cpu);
  Thread* allocate();

  UnfairLock lock_;
  Queue ready_;
  All all_;
  Sleepers sleepers_;  ///< by deadline
  std::array<Queue, 64> futexes_;
  Thread* unused_ = nullptr;
  u32 next_id_ = 1;
  u32 alive_ = 1;
  std::array<Cpu, 16> cpus_{};
  unsigned cpu_count_ = 1;
  Thread first_{};
};

}  // namespace ax::uni
