// Memory and instruction barriers (unprivileged specification, chapters 2.7 and 5). All of them also stop the compiler from
// moving memory accesses.
#pragma once

namespace ax::arch {

/// Accesses to memory before it are seen by every CPU before those after it.
inline void fence() { asm volatile("fence rw, rw" : : : "memory"); }
/// The same of stores alone.
inline void fence_stores() { asm volatile("fence w, w" : : : "memory"); }
/// Accesses to memory and devices alike.
inline void fence_all() { asm volatile("fence iorw, iorw" : : : "memory"); }
/// Instructions that were written as data are what this CPU fetches from now on.
inline void fence_i() { asm volatile("fence.i" : : : "memory"); }

}  // namespace ax::arch
