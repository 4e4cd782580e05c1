#include "unikernel/core/time.hpp"

#include <arch/cpu.hpp>

namespace ax::uni {
namespace {

constinit WaitHooks hooks;
constinit u64 wall_clock = 0;

}  // namespace

u64 monotonic_now() {
  const u64 ticks = drivers::host_timer::now(), frequency = drivers::host_timer::frequency();
  return ticks / frequency * kNanosecondsPerSecond + ticks % frequency * kNanosecondsPerSecond / frequency;
}

void set_wait_hooks(const WaitHooks& wanted) { hooks = wanted; }

void sleep_until(u64 deadline) {
  if (hooks.sleep_until != nullptr) return hooks.sleep_until(deadline);
  while (monotonic_now() < deadline) arch::cpu_relax();
}

void yield() { hooks.yield != nullptr ? hooks.yield() : arch::cpu_relax(); }

void set_wall_clock(u64 offset) { wall_clock = offset; }
u64 wall_clock_offset() { return wall_clock; }

}  // namespace ax::uni
