// This CPU: interrupt mask, waiting, identity.
#pragma once

#include <arch/sysreg.hpp>

#include "kernel/base/types.hpp"

namespace ax::arch {

inline u64 read_flags() {
  u64 flags;
  asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
  return flags;
}

inline void irq_disable() { asm volatile("cli" : : : "memory"); }
inline void irq_enable() { asm volatile("sti" : : : "memory"); }
inline bool irq_enabled() { return (read_flags() & RFLAGS::IF) != 0; }

/// Masks interrupts and returns the mask that was in force, for irq_restore(). Nests.
[[nodiscard]] inline u64 irq_save() {
  const u64 state = read_flags();
  irq_disable();
  return state;
}
inline void irq_restore(u64 state) {
  if ((state & RFLAGS::IF) != 0) irq_enable();
}

/// Hint inside a busy-waiting loop.
inline void cpu_relax() { asm volatile("pause" : : : "memory"); }

/// Sleeps until an interrupt comes, and takes it: HLT with interrupts masked would never end. They are masked on return
/// as they were before. The shadow of STI closes the window between the two instructions.
inline void wait_for_interrupt() {
  const u64 state = read_flags();
  asm volatile("sti; hlt" : : : "memory");
  if ((state & RFLAGS::IF) == 0) irq_disable();
}
/// Takes the interrupts that are pending, and masks them again.
inline void take_pending_interrupts() { asm volatile("sti; nop; cli" : : : "memory"); }

/// x86 has no event register: a waiting CPU polls.
inline void wait_for_event() { cpu_relax(); }
inline void send_event() {}

/// Stops this CPU for good, interrupts masked. An NMI wakes it for its handler only.
[[noreturn]] inline void halt() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

/// The per-CPU block of this CPU (kernel/percpu), which holds its own address where GS can reach it. Valid from the
/// first C++ instruction on.
inline void* per_cpu_base() {
  void* block;
  asm volatile("movq %%gs:48, %0" : "=r"(block));
  return block;
}
inline void set_per_cpu_base(void* block) { IA32_GS_BASE::write(reinterpret_cast<u64>(block)); }

/// Place of this CPU in MachineInfo::cpus. The caller must not migrate: interrupts masked, or a pinned thread.
inline unsigned cpu_index() {
  u32 index;
  asm volatile("movl %%gs:0, %0" : "=r"(index));
  return index;
}

/// A frame record lies where the frame pointer points.
inline constexpr u64 kRecordBelowFrame = 0;

}  // namespace ax::arch
