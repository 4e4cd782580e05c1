// The Debian packages that a task needs: one list (cmake/packages.txt), shared with the root script.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/xtask/core/context.hpp"

namespace ax::xtask {

struct Package {
  std::string group;
  std::string name;
  std::string probe;  ///< a program in PATH, or an absolute path: where it exists, the package is not needed

  bool present() const;
};

/// Parses the list: `group package probe` per line, # comments. Throws Failure(Usage) on anything else.
std::vector<Package> parse_packages(std::string_view text, const std::string& name);
std::vector<Package> load_packages(const Context& context);

/// The packages of `groups` whose probes are absent. An empty `groups` means all.
std::vector<Package> missing_packages(const std::vector<Package>& all, std::span<const std::string_view> groups);

/// Makes sure that nothing of `groups` is missing: lists, asks (unless --yes; without a terminal root goes ahead) and
/// installs with apt-get. Throws Failure(Environment) with the command to run where it may not or cannot.
void ensure_packages(const Context& context, std::span<const std::string_view> groups);

}  // namespace ax::xtask
