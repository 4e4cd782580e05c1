// CPUID (SDM vol. 2 CPUID, APM vol. 3 appendix E).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

struct CpuidResult {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// The CPU's own answer. For a leaf above the highest one it is that of some other leaf: compare with leaf 0 or
/// 0x80000000 first.
inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
  CpuidResult r;
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}

}  // namespace ax::arch
