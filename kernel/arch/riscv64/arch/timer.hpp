// The timer that the host reads its time from and sets its deadlines with.
#pragma once

#include "kernel/drivers/riscv_timer.hpp"

namespace ax::drivers {
namespace host_timer = riscv_timer;
}
