// The timer that the host reads its time from and sets its deadlines with.
#pragma once

#include "kernel/drivers/generic_timer.hpp"

namespace ax::drivers {
namespace host_timer = generic_timer;
}
