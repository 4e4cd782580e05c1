#include "unikernel/core/time.hpp"

#include <arch/cpu.hpp>

#include "unikernel/core/interrupts.hpp"

namespace ax::uni {
namespace {

constinit WaitHooks hooks;
constinit u64 wall_clock = 0;
constinit u64 armed = 0;

/// One thread, one CPU: until an interrupt. The timer stays as it is while it ends this wait in time; a wait that it ends too
/// early begins anew.
void rest(const u32* word, u32 value, u64 deadline) {
  const u64 interrupts = arch::irq_save();
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) {
    if (deadline != kNever && (armed > deadline || armed <= monotonic_now())) {
      armed = deadline;
      drivers::host_timer::set_deadline(ticks_at(deadline));
    }
    arch::wait_for_interrupt();
    arch::take_pending_interrupts();
  }
  arch::irq_restore(interrupts);
}

}  // namespace

u64 monotonic_now() {
  const u64 ticks = drivers::host_timer::now(), frequency = drivers::host_timer::frequency();
  return ticks / frequency * kNanosecondsPerSecond + ticks % frequency * kNanosecondsPerSecond / frequency;
}

u64 ticks_at(u64 nanoseconds) {
  const u64 frequency = drivers::host_timer::frequency();
  return nanoseconds / kNanosecondsPerSecond * frequency + nanoseconds % kNanosecondsPerSecond * frequency / kNanosecondsPerSecond + 1;
}

void timer_has_come() {
  armed = 0;
  drivers::host_timer::cancel_deadline();
}

void set_wait_hooks(const WaitHooks& wanted) { hooks = wanted; }

void sleep_until(u64 deadline) {
  if (hooks.sleep_until != nullptr) return hooks.sleep_until(deadline);
  while (monotonic_now() < deadline) arch::cpu_relax();
}

void yield() { hooks.yield != nullptr ? hooks.yield() : arch::cpu_relax(); }

void wait_for_word(const u32* word, u32 value, u64 deadline) {
  if (hooks.wait_for_word != nullptr) return hooks.wait_for_word(word, value, deadline);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value && monotonic_now() < deadline) {
    if (has_interrupts()) {
      rest(word, value, deadline);
    } else {
      arch::cpu_relax();
    }
  }
}

namespace {
void wake(const u32* word, u64 count) {
  if (hooks.wake != nullptr) hooks.wake(word, count);
}
}  // namespace
void wake_one(const u32* word) { wake(word, 1); }
void wake_all(const u32* word) { wake(word, ~u64{0}); }

void set_wall_clock(u64 offset) { wall_clock = offset; }
u64 wall_clock_offset() { return wall_clock; }

}  // namespace ax::uni
