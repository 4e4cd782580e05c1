// The Arm generic timer as EL2 uses it: the counter, and one one-shot deadline per CPU (Arm ARM D12).
#pragma once

#include <arch/cpu.hpp>

#include "kernel/base/types.hpp"

namespace ax::drivers::generic_timer {

/// Counter ticks per second, as firmware has set it.
inline u64 frequency() { return arch::CNTFRQ_EL0::read(); }

/// Physical counter, in ticks. The barrier keeps the read from being done early, before what precedes it.
inline u64 now() {
  arch::isb();
  return arch::CNTPCT_EL0::read();
}

/// Raises this CPU's hypervisor timer interrupt (level) when the counter reaches `ticks`, at once if it has. Replaces the
/// deadline before.
inline void set_deadline(u64 ticks) {
  arch::CNTHP_CVAL_EL2::write(ticks);
  arch::CNTHP_CTL_EL2::write(arch::TimerControl::ENABLE);
  arch::isb();
}

/// No deadline; the interrupt line falls.
inline void cancel_deadline() {
  arch::CNTHP_CTL_EL2::write(0);
  arch::isb();
}

}  // namespace ax::drivers::generic_timer
