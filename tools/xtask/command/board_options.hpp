// What build, qemu and uboot have in common: the options of a board build, and the build itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/run/target.hpp"

namespace CLI {
class App;
}

namespace ax::xtask {

struct BoardOptions {
  std::filesystem::path build_config;
  std::vector<std::filesystem::path> vm_configs;
  std::vector<std::string> set;  ///< KEY=VALUE; of a command that also starts a machine, keys of both
  std::optional<std::int64_t> smp;
  std::filesystem::path build_dir;
  std::filesystem::path bin_dir;
  bool debug = false;
};

std::shared_ptr<BoardOptions> declare_board_options(CLI::App& app);

struct BoardProducts {
  Board board;
  BootFiles files;
  std::filesystem::path folder;  ///< the build folder
};

using Assignments = std::vector<std::pair<std::string, std::string>>;

/// NAME=VALUE, as `option` was given it. Throws Failure(Usage) for anything else.
std::pair<std::string, std::string> split_assignment(std::string_view option, const std::string& text);

/// --set of a command that also starts a machine: keys of the board, and keys of the file that says how it is started.
struct Settings {
  Assignments board;
  Assignments machine;
};

/// --set of a command that only builds.
Assignments board_settings(const BoardOptions& options);

/// `file` is what `machine_keys` are of, for messages; a key that both have is the board's. Throws Failure(Usage) with a
/// suggestion where neither has it.
Settings split_settings(const BoardOptions& options, std::vector<std::string> machine_keys, std::string_view file);

/// A VM file as the command line names it - a path, or the name of one in configs/vms - as an absolute path.
std::filesystem::path vm_file(const Context& context, const std::filesystem::path& given);

/// Which board the options name; `set` is what of --set concerns the board.
BoardChoice board_choice(const Context& context, const BoardOptions& options, Assignments set);

/// Installs what is missing, configures, builds the image, copies the products to --bin-dir.
BoardProducts build_board(const Context& context, const BoardOptions& options, const BoardChoice& choice);

}  // namespace ax::xtask
