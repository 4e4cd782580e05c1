// What build and qemu have in common: the options of a board build, and the build itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/run/target.hpp"

namespace CLI {
class App;
}

namespace ax::xtask {

struct BoardOptions {
  std::vector<std::filesystem::path> vm_configs;
  std::optional<std::int64_t> smp;
  std::filesystem::path build_dir;
  std::filesystem::path bin_dir;
  bool debug = false;
};

std::shared_ptr<BoardOptions> declare_board_options(CLI::App& app);

struct BoardProducts {
  Board board;
  BootFiles files;
};

/// Installs what is missing, configures, builds, copies the products to --bin-dir.
BoardProducts build_board(const Context& context, const BoardOptions& options);

}  // namespace ax::xtask
