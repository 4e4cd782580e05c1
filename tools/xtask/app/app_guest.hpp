// An application with [os] as a guest of the hypervisor: its virtual machine, the hypervisor's image with it, and the machine.
#pragma once

#include "tools/app/os_build.hpp"
#include "tools/xtask/app/app_build.hpp"

namespace ax::xtask {

/// The VM's name: that of the program.
std::string guest_name(const app::OsBuild& plan);

/// The VM's file. Throws Failure(Usage): the machine cannot be a guest here, and why.
std::string guest_description(const app::Os& os, const app::OsBuild& plan);

/// Writes the VM's file, builds the hypervisor with it, and returns the QEMU command that boots both. With --dry-run everything is
/// shown instead. Throws Failure.
Argv prepare_guest(const Context& context, const LoadedApp& loaded, const app::OsBuild& plan, const app::Os& os);

}  // namespace ax::xtask
