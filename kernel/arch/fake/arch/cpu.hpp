// This CPU on the fake architecture: a thread of the test program plays a CPU.
#pragma once

#include <cstdlib>
#include <thread>

#include "kernel/base/types.hpp"

namespace ax::arch {

namespace fake {
/// Which CPU the calling thread plays.
inline thread_local unsigned current_cpu = 0;
inline thread_local bool interrupts_masked = false;
}  // namespace fake

[[nodiscard]] inline u64 irq_save() {
  const u64 state = fake::interrupts_masked;
  fake::interrupts_masked = true;
  return state;
}
inline void irq_restore(u64 state) { fake::interrupts_masked = state != 0; }
inline void irq_disable() { fake::interrupts_masked = true; }
inline void irq_enable() { fake::interrupts_masked = false; }
inline bool irq_enabled() { return !fake::interrupts_masked; }

// Test machines have few cores: a waiting thread lets the holder run.
/// Mostly nothing, so that a poll with many tries is over soon on a busy host too.
inline void cpu_relax() {
  constexpr unsigned kCallsPerYield = 256;
  thread_local unsigned calls = 0;
  if (++calls % kCallsPerYield == 0) std::this_thread::yield();
}

inline unsigned cpu_index() { return fake::current_cpu; }

[[noreturn]] inline void halt() { std::abort(); }

}  // namespace ax::arch
