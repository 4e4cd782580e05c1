// Applications with [os]: what would be done, and the machine that they run on.
#pragma once

#include "tools/xtask/app/app_build.hpp"

namespace ax::xtask {

/// Prints the names that others stand in for, what is built into the system, and every command of the build.
void show_os_build(const LoadedApp& loaded);

/// Says that the system cannot be built, and what is missing.
[[noreturn]] void refuse_os_build(const LoadedApp& loaded);

/// Prints the QEMU command (--dry-run), or makes what the machine needs and becomes QEMU.
void run_machine(const Context& context, const LoadedApp& loaded, const AppOptions& options, bool debugger);

}  // namespace ax::xtask
