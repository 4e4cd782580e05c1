// What qemu and run have in common: from a configuration and an image to the verdict over a machine.
#pragma once

#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/substitution.hpp"
#include "tools/xtask/run/run_config.hpp"
#include "tools/xtask/run/runner.hpp"
#include "tools/xtask/run/target.hpp"

namespace ax::xtask {

/// ${workspaceFolder}, ${elf}, ${bin} and a new ${nonce}.
Variables variables_for(const Context& context, const BootFiles& files);

/// The emulator of the settings, else that of an architecture ("aarch64"; empty: of the ELF file).
std::string emulator_of(const MachineSettings& machine, const std::string& arch, const BootFiles& files);

/// Makes in `folder` what the machine boots from and was not given: the CD image of GRUB and the hypervisor, or the disk that
/// EDK2 on arm64 boots. With --dry-run only the names are set. Throws Failure(Usage) for a missing image.
void provide_boot_media(const Context& context, MachineSettings& machine, const std::string& emulator,
                        const std::filesystem::path& folder, BootFiles& files);

/// Runs the command, or prints it with --dry-run, and judges the console.
ExitCode boot(const Context& context, const RunConfig& config, const Argv& command, const RunOptions& options);
ExitCode boot_in_bochs(const Context& context, const RunConfig& config, const BootFiles& files, const RunOptions& options);

}  // namespace ax::xtask
