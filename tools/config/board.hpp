// A board file, and the defaults of defconfig.toml, as plain values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/config/document.hpp"
#include "tools/config/features.hpp"
#include "tools/config/platform.hpp"

namespace ax::config {

struct Defconfig {
  u64 task_stack_size = 0;
  u64 ticks_per_sec = 0;
  std::optional<u32> smp{};
};
Defconfig decode_defconfig(const Document& document);

/// A VM that a board names, and where it does.
struct VmName {
  std::string text;
  Position where;
};

/// Commands of the user's around a build.
struct BuildCommands {
  std::vector<std::string> commands;  ///< for sh
  std::vector<std::string> outputs;   ///< files that they make, relative to the repository
};

struct Board {
  std::string name;  ///< the file's name without ".toml"
  const Document* document = nullptr;
  const Target* target = nullptr;
  Platform platform{};
  std::vector<const Feature*> features;  ///< with what they need, sorted by name
  std::string_view log = "Info";
  u64 log_level = 2;
  std::optional<u32> smp{};
  bool to_bin = false;
  u64 load_address = 0;
  bool power_off_when_idle = true;
  std::vector<VmName> vm_configs;
  std::vector<VmName> default_vms;
  std::vector<std::string> build_args;  ///< for Ninja
  std::vector<std::string> env;  ///< "NAME=value"
  BuildCommands pre_build;
  BuildCommands post_build;

  bool has_feature(std::string_view feature) const;
};

/// Reads a board from its document and checks what the schema cannot: target against platform, features against both.
/// `target` is never null in the result: a board without a usable one reads as the first target.
Board decode_board(const Document& document, const PlatformFolders& platforms, SourceStore& sources, Diagnostics& diagnostics);

}  // namespace ax::config
