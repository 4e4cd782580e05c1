// The timer of RISC-V harts: the counter `time`, and one one-shot deadline per hart, set by an instruction where the CPU has the
// extension Sstc, by a call of the firmware elsewhere.
#pragma once

#include <arch/csr.hpp>

#include "kernel/base/types.hpp"

namespace ax::drivers::riscv_timer {

namespace detail {
inline constinit u64 ticks_per_second = 0;
inline constinit bool has_deadline_register = false;
}  // namespace detail

/// Finds out how deadlines are set. `frequency` is the device tree's. Boot CPU, interrupts masked, before the other functions
/// but now().
void init(u64 frequency);

/// Counter ticks per second.
inline u64 frequency() { return detail::ticks_per_second; }
/// The counter, in ticks.
inline u64 now() { return arch::TIME::read(); }

/// Raises this CPU's timer interrupt when the counter reaches `ticks`, at once if it has. Replaces the deadline before.
void set_deadline(u64 ticks);
/// No deadline; the interrupt is not pending any more.
void cancel_deadline();

}  // namespace ax::drivers::riscv_timer
