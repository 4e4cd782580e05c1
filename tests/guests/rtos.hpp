// What the small real-time systems of all architectures do: a periodic tick switches between two tasks that never give up the CPU.
#pragma once

#include <cstdint>

namespace rtos {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u32 kTicksPerSecond = 200;
inline constexpr u32 kTicks = 400;
inline constexpr u32 kTasks = 2;
inline constexpr u64 kStackSize = 8192;

struct Task {
  alignas(16) u8 stack[kStackSize];
  u64 sp;              ///< where the interrupt handler has saved it
  volatile u64 work;   ///< rounds of its loop
  volatile u32 turns;  ///< ticks after which it ran
};

/// `Machine` has a Frame, what the interrupt handler saves of a task, and, as static members, print(text), print_number(n),
/// power_off().
template <class Machine>
struct System {
  using Frame = typename Machine::Frame;

  Task tasks[kTasks];
  u32 current;
  volatile u32 ticks;

  /// Where a task that has not run yet begins.
  Frame& frame(u32 task) {
    Frame* frame = reinterpret_cast<Frame*>(tasks[task].stack + kStackSize) - 1;
    tasks[task].sp = reinterpret_cast<u64>(frame);
    return *frame;
  }
  [[noreturn]] void run(u64 task) {
    for (;;) tasks[task].work = tasks[task].work + 1;
  }

  /// The task whose frame is at `sp` has had its turn. Returns where the next one's is.
  u64 tick(u64 sp) {
    tasks[current].sp = sp;
    current = (current + 1) % kTasks;
    tasks[current].turns = tasks[current].turns + 1;
    ticks = ticks + 1;
    if (ticks % (kTicks / 4) == 0) Machine::print("rtos: tick\n");
    return tasks[current].sp;
  }
  bool is_done() const { return ticks == kTicks; }

  void finish() {
    const bool fair = tasks[0].turns == kTicks / kTasks && tasks[1].turns == kTicks / kTasks;
    Machine::print(fair && tasks[0].work > 0 && tasks[1].work > 0 ? "rtos: passed: " : "rtos: FAILED: ");
    Machine::print_number(kTicks);
    Machine::print(" ticks, two tasks\n");
    Machine::power_off();
  }
};

}  // namespace rtos
