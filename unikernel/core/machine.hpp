// What a platform leaves to its program: the interrupt controller, and preparing the clock. One implementation per architecture,
// in unikernel/arch.
#pragma once

#include "kernel/base/result.hpp"
#include "platforms/machine_info.hpp"

namespace ax::uni {

/// The clock runs and floating point may be used. Boot CPU, first of all.
void prepare_machine(MachineInfo& machine);

}  // namespace ax::uni
