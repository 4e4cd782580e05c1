// This CPU: interrupt mask, waiting, identity.
#pragma once

#include <arch/barrier.hpp>
#include <arch/level.hpp>
#include <arch/sysreg.hpp>

#include "kernel/base/types.hpp"

namespace ax::arch {

/// Masks IRQ and FIQ and returns the mask that was in force, for irq_restore(). Nests.
[[nodiscard]] inline u64 irq_save() {
  const u64 state = DAIF::read();
  asm volatile("msr daifset, #3" : : : "memory");
  return state;
}
inline void irq_restore(u64 state) { asm volatile("msr daif, %0" : : "r"(state) : "memory"); }
inline void irq_disable() { asm volatile("msr daifset, #3" : : : "memory"); }
inline void irq_enable() { asm volatile("msr daifclr, #3" : : : "memory"); }
inline bool irq_enabled() { return (DAIF::read() & DAIF::I) == 0; }

/// Hint inside a busy-waiting loop.
inline void cpu_relax() { asm volatile("yield" : : : "memory"); }

/// Sleeps until an interrupt is pending, masked or not.
inline void wait_for_interrupt() {
  dsb_sy();
  asm volatile("wfi" : : : "memory");
}
/// Takes the interrupts that are pending, and masks them again.
inline void take_pending_interrupts() {
  irq_enable();
  isb();
  irq_disable();
}
/// Sleeps until another CPU executes send_event(), or for any reason the CPU likes.
inline void wait_for_event() { asm volatile("wfe" : : : "memory"); }
inline void send_event() {
  dsb_ishst();
  asm volatile("sev" : : : "memory");
}

/// Stops this CPU for good, interrupts masked.
[[noreturn]] inline void halt() {
  asm volatile("msr daifset, #15" : : : "memory");
  for (;;) wait_for_interrupt();
}

/// The per-CPU block of this CPU (kernel/percpu). Valid from the first C++ instruction on.
inline void* per_cpu_base() { return reinterpret_cast<void*>(TPIDR_ELX::read()); }
inline void set_per_cpu_base(void* block) { TPIDR_ELX::write(reinterpret_cast<u64>(block)); }

/// Place of this CPU in MachineInfo::cpus. The caller must not migrate: interrupts masked, or a pinned thread.
inline unsigned cpu_index() { return *static_cast<const u32*>(per_cpu_base()); }

/// A frame record lies where the frame pointer points.
inline constexpr u64 kRecordBelowFrame = 0;

}  // namespace ax::arch
