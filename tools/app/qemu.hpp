// The emulated machine of [os.platform.qemu] as a QEMU command line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/app/application.hpp"

namespace ax::app {

enum class Accelerator : u8 { Tcg, Kvm };

struct QemuRequest {
  std::filesystem::path elf;  ///< what x86_64 boots
  std::filesystem::path bin;  ///< what the others boot
  Accelerator accelerator = Accelerator::Tcg;
  bool debugger = false;  ///< wait for gdb although `debug` is off
  Words extra{};          ///< at the end
  /// The serial console is the program's alone: with -nographic a PC's firmware would write to it, and read what is typed.
  bool quiet_firmware = false;
};

std::string qemu_program(Arch arch);
/// "x86_64"
std::string_view arch_name(Arch arch);

/// Whether firmware writes to the serial console, whatever QEMU is told.
bool firmware_speaks(Arch arch);

/// The command, to be run in the application's folder. KVM is for x86_64 only, and not while debugging.
Words qemu_command(const Os& os, const QemuRequest& request);

/// Whether the machine would be accelerated at all: then it is worth trying.
bool may_accelerate(const Os& os, bool debugger);

/// Starts nothing but an accelerated machine without devices, with QEMU's monitor on the terminal.
Words kvm_probe_command(Arch arch);

}  // namespace ax::app
