// Cache maintenance on the fake architecture: recorded, like TLB maintenance.
#pragma once

#include "kernel/arch/fake/arch/recorder.hpp"
#include "kernel/base/types.hpp"

namespace ax::arch {

inline void clean_data_cache(u64 address, u64) { fake::record("dc cvac", address); }
inline void clean_invalidate_data_cache(u64 address, u64) { fake::record("dc civac", address); }

inline void zero_pages_to_memory(u64 address, u64 size) {
  __builtin_memset(reinterpret_cast<void*>(address), 0, size);
  fake::record("dc zva", address);
}

}  // namespace ax::arch
