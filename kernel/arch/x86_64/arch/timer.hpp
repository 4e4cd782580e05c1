// The host's clock and deadline timer: ax::drivers::host_timer.
#pragma once

#include "kernel/drivers/tsc_timer.hpp"
