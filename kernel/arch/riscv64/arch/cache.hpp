// Cache maintenance by address range. Devices of the machines that this runs on are coherent (`dma-coherent` in their trees), and
// memory is cached without translation too: what other architectures must do is nothing here.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

inline void clean_data_cache(u64, u64) {}
inline void clean_invalidate_data_cache(u64, u64) {}

}  // namespace ax::arch
