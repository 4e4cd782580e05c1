// The battery-backed clock of a PC (MC146818, ports 70h and 71h).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::drivers {

/// What the clock says, in seconds since 1970; it is taken to run on UTC, in this century. 0 when it cannot be read: it is absent, or
/// holds no date. Only one caller at a time. Takes up to about 2 ms, because the clock cannot be read while it counts.
u64 time_of_day();

}  // namespace ax::drivers
