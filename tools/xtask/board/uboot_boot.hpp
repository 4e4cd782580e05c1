// From a built image to a booting board.
#pragma once

#include <filesystem>
#include <string>

#include "tools/xtask/board/serial_line.hpp"
#include "tools/xtask/board/uboot_config.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/run/runner.hpp"

namespace ax::xtask {

struct BoardImage {
  std::string name;          ///< of files on the TFTP server: axvisor
  std::string architecture;  ///< aarch64, x86_64, riscv64
  std::filesystem::path bin;
};

/// Brings the board to U-Boot's prompt, loads the image by TFTP or YMODEM, starts it, judges its console, and gives the terminal
/// to the user where there is one. The power-off command is run whatever happens. Throws Failure.
ExitCode boot_board(const Context& context, const UbootConfig& config, const BoardImage& image, const RunOptions& options);

/// The FIT image or the flat image with the names of files as they go to the board; what --dry-run prints.
std::string describe_boot(const UbootConfig& config, const BoardImage& image);

/// Where an image tree of `image_size` bytes goes: above the kernel that it unpacks to, on a 16 MiB boundary.
std::uint64_t fit_address_above(std::uint64_t kernel_address, std::uint64_t kernel_size);

}  // namespace ax::xtask
