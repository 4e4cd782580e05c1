// The board that a build is for: configs/board/NAME.toml, or the user's own copy of it in .build.toml.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/xtask/core/context.hpp"

namespace ax::xtask {

inline constexpr const char* kDefaultBoard = "qemu-aarch64";

/// The names of configs/board and of the board/ folders on AXVISOR_CONFIG_PATH, sorted.
std::vector<std::string> board_names(const std::filesystem::path& root);

/// Copies the board file to .build.toml, headed by a line that names the board. An existing .build.toml becomes
/// .build.toml.backup_YYYYmmdd_HHMMSS (UTC). Returns that backup's path, or "". Throws Failure(Usage) for an unknown board.
std::filesystem::path write_default_config(const std::filesystem::path& root, const std::string& board,
                                           std::chrono::system_clock::time_point now);

struct Board {
  std::string name;
  bool chosen = false;           ///< .build.toml exists
  std::string cmake_value;       ///< for AXVISOR_BOARD: the name, or the path of a .build.toml that was edited
  std::string target;            ///< target triple
  bool to_bin = false;
  std::optional<std::int64_t> smp;

  /// "aarch64" of "aarch64-unknown-none-softfloat".
  std::string arch() const { return target.substr(0, target.find('-')); }
};

/// The board of .build.toml, or the default board. Throws Failure(Usage) when the file names none or cannot be read.
Board current_board(const std::filesystem::path& root);

}  // namespace ax::xtask
