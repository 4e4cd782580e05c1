#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/run/target.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct Architecture {
  unsigned elf_machine;  ///< e_machine of the ELF header
  std::string_view emulator;
  std::string_view default_machine;
};

constexpr std::array<Architecture, 3> kArchitectures{{
    {183, "qemu-system-aarch64", "virt"},
    {62, "qemu-system-x86_64", "q35"},
    {243, "qemu-system-riscv64", "virt"},
}};
constexpr std::string_view kUefiFirmware = "/usr/share/ovmf/OVMF.fd";  // of Debian's package ovmf, for x86
constexpr std::string_view kArmUefiCode = "/usr/share/AAVMF/AAVMF_CODE.fd";  // of Debian's package qemu-efi-aarch64
constexpr size_t kElfMachineOffset = 18;
constexpr size_t kElfHeaderBytes = 64;

const Architecture& architecture_of(const fs::path& elf) {
  const std::string header = read_file(elf).substr(0, kElfHeaderBytes);
  if (header.size() == kElfHeaderBytes && header.starts_with("\x7f" "ELF")) {
    const unsigned machine = static_cast<unsigned char>(header[kElfMachineOffset]) |
                             static_cast<unsigned>(static_cast<unsigned char>(header[kElfMachineOffset + 1])) << 8;
    for (const Architecture& architecture : kArchitectures) {
      if (architecture.elf_machine == machine) {
        return architecture;
      }
    }
  }
  throw Failure(ExitCode::Usage, elf.string() + ": not an ELF file for aarch64, x86_64 or riscv64");
}

/// What -machine is where nobody says; an emulator that is not known here gets none.
std::string_view default_machine(const std::string& emulator) {
  for (const Architecture& architecture : kArchitectures) {
    if (fs::path(emulator).filename() == architecture.emulator) {
      return architecture.default_machine;
    }
  }
  return {};
}

bool has_option(const std::vector<std::string>& args, std::initializer_list<std::string_view> names) {
  return std::any_of(args.begin(), args.end(), [&](const std::string& arg) {
    return std::find(names.begin(), names.end(), arg) != names.end();
  });
}

void add(Argv& argv, std::initializer_list<std::string> words) { argv.insert(argv.end(), words); }

const fs::path& image(const fs::path& file, std::string_view option, ImageCheck check) {
  if (file.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("no image to boot: {} is not given", option));
  }
  if (check == ImageCheck::Require && !fs::is_regular_file(file)) {
    throw Failure(ExitCode::Usage, fmt::format("no image to boot: {} does not exist", file.string()));
  }
  return file;
}

void add_image(Argv& argv, const MachineSettings& machine, const BootFiles& files, ImageCheck check) {
  if (machine.uefi && !files.esp.empty()) {
    // The firmware hands over a device tree only where there are no ACPI tables.
    add(argv, {"-machine", "acpi=off"});
    add(argv, {"-drive", fmt::format("if=pflash,format=raw,readonly=on,file={}", kArmUefiCode)});
    add(argv, {"-drive", fmt::format("if=pflash,format=raw,file={}", (files.esp.parent_path() / "variables.fd").string())});
    add(argv, {"-drive", fmt::format("if=none,id=esp,format=raw,file=fat:rw:{}", files.esp.string())});
    add(argv, {"-device", "virtio-blk-device,drive=esp"});
    return;
  }
  switch (machine.kernel) {
    case KernelSource::None: return;
    case KernelSource::Elf: add(argv, {"-kernel", image(files.elf, "--elf", check)}); return;
    case KernelSource::Bin: add(argv, {"-kernel", image(files.bin, "--bin", check)}); return;
    case KernelSource::Iso:
      add(argv, {"-cdrom", image(files.iso, "--iso", check)});
      if (machine.uefi) {
        add(argv, {"-bios", std::string(kUefiFirmware)});
      }
      return;
    case KernelSource::Loader: {
      const std::string bin = image(files.bin, "--bin", check);
      add(argv, {"-device", fmt::format("loader,file={},addr={:#x},force-raw=on", bin, *machine.load_address)});
      add(argv, {"-device", fmt::format("loader,addr={:#x},cpu-num=0", *machine.load_address)});
      return;
    }
  }
}

void add_machine(Argv& argv, const MachineSettings& machine, std::string_view fallback) {
  if (!machine.machine.empty()) {
    add(argv, {"-machine", machine.machine});
  } else if (!fallback.empty() && !has_option(machine.args, {"-machine", "-M", "--machine"})) {
    add(argv, {"-machine", std::string(fallback)});
  }
  if (machine.gic_version) {
    add(argv, {"-machine", fmt::format("gic-version={}", *machine.gic_version)});
  }
  if (!machine.cpu.empty()) {
    add(argv, {"-cpu", machine.cpu});
  }
  if (!machine.memory.empty()) {
    add(argv, {"-m", machine.memory});
  }
  if (machine.smp) {
    add(argv, {"-smp", std::to_string(*machine.smp)});
  }
}

}  // namespace

Argv qemu_command(const MachineSettings& machine, const BootFiles& files, Debugger debugger, ImageCheck check) {
  const std::string emulator = machine.emulator.empty()
                                   ? std::string(architecture_of(image(files.elf, "--elf", check)).emulator)
                                   : machine.emulator;
  Argv argv{emulator};
  argv.insert(argv.end(), machine.args.begin(), machine.args.end());
  add_machine(argv, machine, default_machine(emulator));
  // Virtualization extensions of the guest CPU need TCG: KVM on arm64 cannot nest here.
  if (!has_option(machine.args, {"-accel", "-enable-kvm"})) {
    add(argv, {"-accel", machine.accel.empty() ? "tcg" : machine.accel});
  }
  if (debugger == Debugger::Wait) {
    add(argv, {"-s", "-S"});
  }
  add_image(argv, machine, files, check);
  return argv;
}

}  // namespace ax::xtask
