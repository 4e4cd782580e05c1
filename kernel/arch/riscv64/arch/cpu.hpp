// This CPU: interrupt mask, waiting, identity.
#pragma once

#include <arch/barrier.hpp>
#include <arch/csr.hpp>
#include <arch/tlb.hpp>

#include "kernel/base/types.hpp"

namespace ax::arch {

/// Masks interrupts and returns the mask that was in force, for irq_restore(). Nests.
[[nodiscard]] inline u64 irq_save() {
  u64 state;
  asm volatile("csrrci %0, sstatus, 2" : "=r"(state) : : "memory");
  return state;
}
inline void irq_restore(u64 state) { SSTATUS::set(state & SSTATUS::SIE); }
inline void irq_disable() { SSTATUS::clear(SSTATUS::SIE); }
inline void irq_enable() { SSTATUS::set(SSTATUS::SIE); }
inline bool irq_enabled() { return (SSTATUS::read() & SSTATUS::SIE) != 0; }

/// Hint inside a busy-waiting loop: `pause`, by its encoding, which is a fence that orders nothing where the CPU does not know it.
inline void cpu_relax() { asm volatile(".4byte 0x0100000f" : : : "memory"); }

/// Takes the interrupts that are pending, and masks them again.
inline void take_pending_interrupts() {
  irq_enable();
  irq_disable();
}

/// RISC-V has no event register: a waiting CPU polls.
inline void wait_for_event() { cpu_relax(); }
inline void send_event() {}

/// The per-CPU block of this CPU (kernel/percpu). Valid from the first C++ instruction on. `tp` belongs to the program's threads.
inline void* per_cpu_base() { return reinterpret_cast<void*>(SSCRATCH::read()); }

/// Of the word in the per-CPU block that is not 0 while the CPU sleeps.
inline constexpr u64 kAsleepOffset = 64;

/// Sleeps until an interrupt that is enabled is pending, masked or not. Meanwhile nobody asks this CPU to forget translations:
/// it forgets all of them when it wakes. The fences make sure that who still finds it asleep has changed the tables before.
inline void wait_for_interrupt() {
  u64* const asleep = reinterpret_cast<u64*>(static_cast<char*>(per_cpu_base()) + kAsleepOffset);
  __atomic_store_n(asleep, 1, __ATOMIC_RELEASE);
  asm volatile("wfi" : : : "memory");
  __atomic_store_n(asleep, 0, __ATOMIC_RELAXED);
  fence();
  Tlb::sfence_vma_all();
}

/// Stops this CPU for good, interrupts masked.
[[noreturn]] inline void halt() {
  SSTATUS::clear(SSTATUS::SIE);
  SIE::write(0);
  for (;;) wait_for_interrupt();
}

/// Place of this CPU in MachineInfo::cpus. The caller must not migrate: interrupts masked, or a pinned thread.
inline unsigned cpu_index() { return *static_cast<const u32*>(per_cpu_base()); }

/// A frame record lies below the address that the frame pointer holds (psABI, "Frame Pointer Convention").
inline constexpr u64 kRecordBelowFrame = 16;

}  // namespace ax::arch
