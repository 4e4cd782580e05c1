// The Arm generic timer as the level that this image runs at uses it: the counter, and one one-shot deadline per CPU
// (Arm ARM D12). EL2 has the physical counter and the hypervisor timer, EL1 the virtual ones.
#pragma once

#include <arch/cpu.hpp>
#include <arch/level.hpp>

#include "kernel/base/types.hpp"

namespace ax::drivers::generic_timer {

/// Counter ticks per second, as firmware has set it.
inline u64 frequency() { return arch::CNTFRQ_EL0::read(); }

/// The counter, in ticks. The barrier keeps the read from being done early, before what precedes it.
inline u64 now() {
  arch::isb();
  return arch::COUNTER::read();
}

/// Raises this CPU's timer interrupt (level) when the counter reaches `ticks`, at once if it has. Replaces the
/// deadline before.
inline void set_deadline(u64 ticks) {
  arch::TIMER_CVAL::write(ticks);
  arch::TIMER_CTL::write(arch::TimerControl::ENABLE);
  arch::isb();
}

/// No deadline; the interrupt line falls.
inline void cancel_deadline() {
  arch::TIMER_CTL::write(0);
  arch::isb();
}

}  // namespace ax::drivers::generic_timer
