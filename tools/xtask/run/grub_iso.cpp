#include "tools/xtask/run/grub_iso.hpp"

#include <fmt/format.h>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

// Without a menu, and without GRUB writing to the serial console.
constexpr std::string_view kMenu = "set timeout=0\nmenuentry \"axvisor\" {\n  multiboot2 /boot/axvisor\n}\n";
// One platform alone makes a smaller image, in a tenth of the time.
constexpr const char* kGrubModules[] = {"/usr/lib/grub/i386-pc", "/usr/lib/grub/x86_64-efi"};

}  // namespace

void make_grub_iso(const Console& console, const fs::path& elf, const fs::path& iso, Firmware firmware) {
  if (!find_program("grub-mkrescue")) {
    throw Failure(ExitCode::Environment, "a CD image needs grub-mkrescue, which is not here",
                  "./xtask setup installs it");
  }
  const TemporaryFolder folder;
  write_file(folder.path() / "boot/grub/grub.cfg", kMenu);
  fs::copy_file(elf, folder.path() / "boot/axvisor");
  const char* modules = kGrubModules[static_cast<size_t>(firmware)];
  const Argv argv{"grub-mkrescue", "--directory", modules, "-o", iso.string(), folder.path().string()};
  console.detail(format_command(argv));
  const CapturedOutput made = capture_command({.argv = {"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", argv[0], argv[1], argv[2],
                                                        argv[3], argv[4], argv[5]}});
  if (made.status != 0 || !fs::exists(iso)) {
    throw Failure(ExitCode::Environment, fmt::format("grub-mkrescue failed (status {}): {}", made.status, made.output),
                  "./xtask setup installs grub-common, grub-pc-bin, grub-efi-amd64-bin, xorriso and mtools");
  }
}

}  // namespace ax::xtask
