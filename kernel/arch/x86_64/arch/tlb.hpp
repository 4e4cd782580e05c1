// TLB maintenance: one function per instruction, so that arch/fake can record them.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

/// They act on this CPU only (SDM vol. 3 4.10.4).
struct Tlb {
  static void invlpg(Hva address) { asm volatile("invlpg (%0)" : : "r"(address.value()) : "memory"); }
  /// Writing CR3 drops everything but global pages, of which the host has none.
  static void reload_cr3() {
    u64 root;
    asm volatile("movq %%cr3, %0; movq %0, %%cr3" : "=r"(root) : : "memory");
  }
};

}  // namespace ax::arch
