#include "unikernel/core/machine.hpp"

#include "unikernel/core/console.hpp"
#include "unikernel/core/random_bytes.hpp"

namespace ax::uni {

/// The counter runs from reset on, and boot.S has enabled floating point. The firmware has written to the console: an Application
/// Program Command, which terminals do not show, tells `xtask app` where the program's output begins.
void prepare_machine(MachineInfo&) { console_write("\033_unikernel-start\033\\"); }

/// The entropy source of the CPU (Zkr) belongs to machine mode; firmware that passes it on is not known.
bool hardware_random(u64&) { return false; }

}  // namespace ax::uni
