// Memory barriers (SDM vol. 3 9.2, APM vol. 2 7.4). All of them also stop the compiler from moving memory accesses.
#pragma once

namespace ax::arch {

/// Stores before it are visible to everybody before any access after it: x86 reorders nothing else in write-back
/// memory.
inline void mfence() { asm volatile("mfence" : : : "memory"); }
/// Instructions before it have completed; later ones, RDTSC included, have not begun.
inline void lfence() { asm volatile("lfence" : : : "memory"); }
/// Orders write-combining stores.
inline void sfence() { asm volatile("sfence" : : : "memory"); }
/// The CPU keeps program order by itself here; the compiler has to as well.
inline void compiler_barrier() { asm volatile("" : : : "memory"); }

}  // namespace ax::arch
