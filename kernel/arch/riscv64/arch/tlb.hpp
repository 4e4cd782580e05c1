// TLB maintenance: one function per instruction, so that arch/fake can record them.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

/// They act on this CPU only, and order its own earlier stores to tables before its later walks (privileged specification 4.2.1).
struct Tlb {
  static void fence_stores() { asm volatile("fence w, w" : : : "memory"); }
  static void sfence_vma(Hva address) { asm volatile("sfence.vma %0, zero" : : "r"(address.value()) : "memory"); }
  static void sfence_vma_all() { asm volatile("sfence.vma" : : : "memory"); }
};

}  // namespace ax::arch
