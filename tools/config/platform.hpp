// Machine families: the libraries that images are built with, those of the tree and those of other folders.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/config/document.hpp"

namespace ax::config {

/// A target triple with what follows from it.
struct Target {
  std::string_view triple;
  std::string_view arch;      ///< kernel/arch/<arch>
  std::string_view platform;  ///< the one that serves it where the board names none
  u64 load_address;
  bool built;  ///< false: known, but this version has no code for it
};
std::span<const Target> all_targets();

/// What there is for who wants a target or a board, by its name, of an architecture that the hypervisor does not run on; empty:
/// it runs there.
std::string_view instead_of_hypervisor(std::string_view name);

struct Platform {
  std::string name;
  std::vector<const Target*> targets{};  ///< at least one
  std::vector<std::string> features{};   ///< that exist on some platforms only, and on this one
  u64 load_address = 0;                  ///< of images, where the board names none
  std::filesystem::path folder{};      ///< with its CMakeLists.txt; empty: platforms/<name> of the tree
};

/// The platforms that a board can name: the built-in ones, and every platforms/NAME/platform.toml below some folders.
class PlatformFolders {
 public:
  PlatformFolders() = default;
  /// `folders` most important first.
  explicit PlatformFolders(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}

  /// The built-in platform of a target.
  static Platform of(const Target& target);
  /// By name or alias, read from its platform.toml where it is not built in. Reports what is wrong with that file, and a
  /// name that there is nothing for.
  std::optional<Platform> find(const std::string& name, Position where, SourceStore& sources, Diagnostics& diagnostics) const;

 private:
  std::vector<std::string> names() const;

  std::vector<std::filesystem::path> folders_;
};

}  // namespace ax::config
