// What every command is given: where it works, how it talks, and what it may do without asking.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/xtask/core/console.hpp"

namespace ax::xtask {

struct Context {
  std::filesystem::path root;     ///< the source tree, absolute
  std::filesystem::path current;  ///< the folder the user is in: command-line paths are relative to it
  Console console;
  bool dry_run = false;     ///< print the exact commands, change nothing
  bool yes = false;         ///< install packages without asking
  bool no_install = false;  ///< never install packages
  std::vector<std::string> rest;  ///< what stands after -- on the command line

  /// A path from the command line, absolute.
  std::filesystem::path resolve(const std::filesystem::path& path) const {
    return (path.is_absolute() ? path : current / path).lexically_normal();
  }
};

}  // namespace ax::xtask
