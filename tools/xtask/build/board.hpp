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

/// `[system.Custom]`: an image that a command of the user's makes.
struct CustomBuild {
  std::string command;        ///< for sh, run in the source tree
  std::filesystem::path elf;  ///< what it makes, absolute
};

struct Board {
  std::string name;
  bool chosen = false;           ///< a file was named, or .build.toml exists
  std::string cmake_value;       ///< for AXVISOR_BOARD: the name, or the path of a .build.toml that was edited
  std::string target;            ///< target triple
  bool to_bin = false;
  std::optional<std::int64_t> smp;
  /// Board file that no file holds as it stands: --set changed it, or it was written for ostool. Empty: none is needed.
  std::string derived;
  std::optional<CustomBuild> custom;
  std::vector<std::string> notices;  ///< what of the file has no meaning here

  /// "aarch64" of "aarch64-unknown-none-softfloat".
  std::string arch() const { return target.substr(0, target.find('-')); }
};

/// Which board a command is about.
struct BoardChoice {
  std::filesystem::path build_config{};                    ///< --build-config; empty: .build.toml, then the default board
  std::string board{};                                     ///< a name from configs/board, instead of any file
  std::vector<std::pair<std::string, std::string>> set{};  ///< --set: keys of the board and their values
};

/// Reads the board: a board file's keys, or ostool's [system.Cargo] and [system.Custom] tables. A file is for the board that its
/// first line names (`# board: NAME`), else for the one whose file it is a copy of, else for a board of its own, "custom-<arch>".
/// Throws Failure(Usage) for a file that cannot be read, unknown names and unknown keys.
Board current_board(const std::filesystem::path& root, const BoardChoice& choice = {});

/// The keys that a board file may have at its top, for suggestions.
std::vector<std::string> board_keys();

}  // namespace ax::xtask
