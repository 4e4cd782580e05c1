// Memory and instruction barriers (Arm ARM B2.3.12). All of them also stop the compiler from moving memory accesses.
#pragma once

namespace ax::arch {

/// Everything before is visible to what is fetched, translated and executed afterwards on this CPU.
inline void isb() { asm volatile("isb" : : : "memory"); }

/// Waits for all accesses and maintenance before it, system-wide.
inline void dsb_sy() { asm volatile("dsb sy" : : : "memory"); }
/// The same among the CPUs of the inner-shareable domain.
inline void dsb_ish() { asm volatile("dsb ish" : : : "memory"); }
/// Stores only: page-table writes before a translation may use them.
inline void dsb_ishst() { asm volatile("dsb ishst" : : : "memory"); }
/// For the maintenance of this CPU's own TLB.
inline void dsb_nsh() { asm volatile("dsb nsh" : : : "memory"); }

/// Orders accesses among the CPUs.
inline void dmb_ish() { asm volatile("dmb ish" : : : "memory"); }
/// Orders accesses to memory and devices.
inline void dmb_sy() { asm volatile("dmb sy" : : : "memory"); }

}  // namespace ax::arch
