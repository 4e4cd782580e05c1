// CPUID on the fake architecture: answers by leaf and subleaf.
#pragma once

#include <map>
#include <utility>

#include "kernel/base/types.hpp"

namespace ax::arch {

struct CpuidResult {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

namespace fake {
/// What is not in it reads as zero.
inline std::map<std::pair<u32, u32>, CpuidResult> cpuid_leaves;
}  // namespace fake

inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
  const auto found = fake::cpuid_leaves.find({leaf, subleaf});
  return found == fake::cpuid_leaves.end() ? CpuidResult{} : found->second;
}

}  // namespace ax::arch
