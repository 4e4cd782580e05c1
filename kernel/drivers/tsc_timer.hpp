// The host's clock on x86: the time-stamp counter, and one one-shot deadline per CPU by the local APIC's timer, in
// TSC-deadline mode where the CPU has it (SDM vol. 3 11.5.4).
#pragma once

#include <arch/msr.hpp>
#include <optional>

#include "kernel/drivers/local_apic.hpp"
#include "kernel/drivers/reference_clock.hpp"

namespace ax::drivers::host_timer {

/// Ticks per second.
struct Frequencies {
  u64 tsc = 0;
  u64 apic_timer = 0;  ///< undivided; 0: not needed, or not known
};

/// What the CPU itself says (CPUID 0x15, or 0x40000010 below a hypervisor); fields that it does not say are 0.
Frequencies announced_frequencies();

/// Measures both against `clock` for two milliseconds. The APIC timer of this CPU runs meanwhile, masked. Nothing when
/// the clock cannot be used or stands still.
std::optional<Frequencies> measure_frequencies(ReferenceClock& clock, const LocalApic& apic);

/// Once, on the boot CPU, before the functions below.
void init(const LocalApic& apic, Frequencies frequencies);
/// Each CPU, once, after LocalApic::init_cpu().
void init_cpu();

/// Each CPU of a machine that loses interrupts, after init_cpu(): the interrupt of a deadline comes again, each time after as long as
/// the first time, until there is another deadline or none. None is nearer than 20 us from then on, or the machine might do nothing
/// else than repeat. In TSC-deadline mode, which cannot, nothing changes.
void repeat();

/// Counter ticks per second.
u64 frequency();

/// The counter, in ticks. It is read neither before what precedes it has completed nor after what follows has begun.
inline u64 now() { return arch::read_tsc(); }

/// Raises host_vector::kTimer on this CPU when the counter reaches `ticks`, at once if it has. Replaces the deadline
/// before. An APIC timer that cannot count so far interrupts early: whoever waits sets the deadline again.
void set_deadline(u64 ticks);

/// No deadline. An interrupt that is pending already stays so.
void cancel_deadline();

}  // namespace ax::drivers::host_timer
