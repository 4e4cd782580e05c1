// The machine's clock of the day: one implementation per kind of clock.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

/// Nanoseconds since 1970 began; 0: the machine has no clock, or it cannot be read. Boot CPU.
u64 read_wall_clock();

}  // namespace ax::uni
