// Cache maintenance by address range. Caches are coherent with instruction fetch, with devices and with guests on x86,
// whatever memory type a guest selects (self-snooping), so what other architectures must do is nothing here.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

inline void clean_data_cache(u64, u64) {}
inline void clean_invalidate_data_cache(u64, u64) {}
inline void synchronize_instruction_cache(u64, u64) {}
inline void invalidate_instruction_cache() {}

/// Fills whole pages with zeros.
inline void zero_pages_to_memory(u64 address, u64 size) {
  void* to = reinterpret_cast<void*>(address);
  // By words: an emulator takes as long for each step, whatever its size, and a CPU moves cache lines either way.
  u64 words = size / sizeof(u64);
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(u64{0}) : "memory");
}

}  // namespace ax::arch
