// What executes the machine's instructions: the host's CPU through KVM where that really works, else QEMU's translator (TCG).
#pragma once

#include <string>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/run/run_config.hpp"

namespace ax::xtask {

/// Starts the emulator, which must have its monitor on its terminal, and asks it to quit. True if it did, without an error:
/// an accelerator may be there and yet fail once a CPU is made, so the only proof is a machine that starts and obeys.
bool starts_and_quits(const Argv& probe);

/// The settings with an accelerator that works here: KVM where `accel` or the arguments ask for it (or "auto" may use it) and a
/// trial succeeds, else TCG, with "-cpu max" for "-cpu host". A wish that is not granted is said.
MachineSettings with_working_accelerator(MachineSettings machine, const std::string& emulator, const Console& console);

}  // namespace ax::xtask
