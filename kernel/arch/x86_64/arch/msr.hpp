// Model-specific registers by number. Access to one that the CPU does not have raises #GP: fatal in the host.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

inline u64 read_msr(u32 index) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
  return u64{high} << 32 | low;
}
inline void write_msr(u32 index, u64 value) {
  asm volatile("wrmsr" : : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

/// The time-stamp counter, read when everything before it has completed.
inline u64 read_tsc() {
  u32 low, high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return u64{high} << 32 | low;
}

}  // namespace ax::arch
