#include "tools/xtask/command/boot.hpp"

#include <fmt/format.h>

#include "tools/xtask/core/files.hpp"
#include "tools/xtask/run/bochs.hpp"
#include "tools/xtask/run/grub_iso.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kArmUefiVariables = "/usr/share/AAVMF/AAVMF_VARS.fd";  // of Debian's package qemu-efi-aarch64
constexpr std::string_view kArmEfiProgram = "EFI/BOOT/BOOTAA64.EFI";              // what firmware starts from a removable disk

ExitCode run(const Context& context, const RunConfig& config, Target& target, const RunOptions& options) {
  return report_outcome(context.console, config.script, run_target(target, config.script, options));
}

void require_image(const fs::path& file, std::string_view options) {
  if (!fs::is_regular_file(file)) {
    throw Failure(ExitCode::Usage, file.empty() ? fmt::format("no image to boot: {}", options)
                                                : fmt::format("no image to boot: {} does not exist", file.string()));
  }
}

/// A disk for firmware: the image as its start-up program, and a copy of the firmware's variable store beside the folder.
void make_efi_disk(const BootFiles& files) {
  const fs::path program = files.elf.string() + ".efi";
  if (!fs::is_regular_file(program)) {
    throw Failure(ExitCode::Usage, fmt::format("uefi: there is no EFI program {}", program.string()),
                  "a board whose platform makes one is needed: aarch64-dyn does");
  }
  if (!fs::is_regular_file(kArmUefiVariables)) {
    throw Failure(ExitCode::Environment, "EDK2 for arm64 is not installed", "install the package qemu-efi-aarch64");
  }
  write_file(files.esp / kArmEfiProgram, read_file(program));
  write_file(files.esp.parent_path() / "variables.fd", read_file(kArmUefiVariables));
}

}  // namespace

Variables variables_for(const Context& context, const BootFiles& files) {
  Variables variables(random_nonce());
  variables.define("workspaceFolder", context.root);
  variables.define("elf", files.elf);
  variables.define("bin", files.bin);
  return variables;
}

std::string emulator_of(const MachineSettings& machine, const std::string& arch, const BootFiles& files) {
  if (!machine.emulator.empty()) {
    return machine.emulator;
  }
  if (!arch.empty()) {
    return "qemu-system-" + arch;
  }
  MachineSettings bare;
  bare.kernel = KernelSource::None;
  return qemu_command(bare, files, Debugger::None).front();
}

void provide_boot_media(const Context& context, MachineSettings& machine, const std::string& emulator, const fs::path& folder,
                        BootFiles& files) {
  if (machine.uefi && emulator.ends_with("aarch64") && machine.kernel != KernelSource::Iso) {
    files.esp = folder / "esp";
    if (!context.dry_run) {
      make_efi_disk(files);
    }
    return;
  }
  if (machine.uefi) {
    machine.kernel = KernelSource::Iso;  // GRUB is what loads Multiboot 2 on a PC
  }
  if (machine.kernel != KernelSource::Iso || !files.iso.empty()) {
    return;
  }
  files.iso = folder / "axvisor.iso";
  if (!context.dry_run) {
    require_image(files.elf, "neither --iso nor --elf is given");
    make_grub_iso(context.console, files.elf, files.iso, machine.uefi ? Firmware::Uefi : Firmware::Bios);
  }
}

ExitCode boot(const Context& context, const RunConfig& config, const Argv& command, const RunOptions& options) {
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return ExitCode::Success;
  }
  context.console.detail(format_command(command));
  adopt_orphans();
  EmulatorTarget target(command);
  return run(context, config, target, options);
}

ExitCode boot_in_bochs(const Context& context, const RunConfig& config, const BootFiles& files, const RunOptions& options) {
  if (context.dry_run) {
    print_out(format_command({config.machine.emulator, "-q", "-f", "bochsrc"}) + "\n");
    return ExitCode::Success;
  }
  adopt_orphans();
  BochsTarget target(config.machine, files.iso);
  return run(context, config, target, options);
}

}  // namespace ax::xtask
