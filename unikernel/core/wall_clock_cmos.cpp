// The clock of a PC.
#include "kernel/drivers/cmos_clock.hpp"
#include "unikernel/core/time.hpp"
#include "unikernel/core/wall_clock.hpp"

namespace ax::uni {

u64 read_wall_clock() { return drivers::time_of_day() * kNanosecondsPerSecond; }

}  // namespace ax::uni
