// A CD image whose boot loader starts a kernel, as firmware and emulators without a kernel option want it.
#pragma once

#include <filesystem>

#include "tools/xtask/core/console.hpp"

namespace ax::xtask {

enum class Firmware { Bios, Uefi };

/// Writes an ISO image to `iso`: GRUB, which loads `elf` through Multiboot 2 at once. Throws Failure(Environment) where
/// grub-mkrescue is missing or fails.
void make_grub_iso(const Console& console, const std::filesystem::path& elf, const std::filesystem::path& iso,
                   Firmware firmware);

}  // namespace ax::xtask
