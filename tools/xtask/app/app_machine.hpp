// Applications with [os]: what would be done, and the machine that they run on.
#pragma once

#include "tools/app/os_build.hpp"
#include "tools/xtask/app/app_build.hpp"

namespace ax::xtask {

/// The build as it would be done. Throws Failure(Usage) for a RUXOS_DIR that cannot be used.
app::OsBuild os_plan(const Context& context, const LoadedApp& loaded);

/// Prints the names that others stand in for, what is built into the system, and every command of the build.
void show_os_build(const Context& context, const LoadedApp& loaded);

/// Builds the system and the application on it: that of a RuxOS tree where RUXOS_DIR names one. Throws Failure: there is no
/// system, a tool is missing, the build fails.
void build_os(const Context& context, const LoadedApp& loaded, const AppOptions& options);

/// Prints the QEMU command (--dry-run), or makes what the machine needs and becomes QEMU.
void run_machine(const Context& context, const LoadedApp& loaded, const AppOptions& options, bool debugger);

/// The machine for one of the description's tests, in the application's folder; its console is standard input and output.
/// Throws Failure.
struct MachineTest {
  Argv command;
  std::filesystem::path elf;
  std::string prefix{};  ///< of the program's lines on the console: a guest's name
};
MachineTest machine_test(const Context& context, const LoadedApp& loaded, const std::vector<std::string>& args, bool hypervisor);

}  // namespace ax::xtask
