// What is checked: packages of the tree, for every target and feature set that they can be built for.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

inline constexpr const char* kHostTarget = "host";

/// The folders that --packages names, and other names for groups of them.
std::vector<std::string> lint_packages();
/// `names` as folders, aliases resolved. Throws Failure(Usage) with a suggestion. Empty: all.
std::vector<std::string> resolve_packages(const std::vector<std::string>& names);

/// The targets that --targets names: "host", and those of the boards.
std::vector<std::string> lint_targets(const std::filesystem::path& root);
/// As resolve_packages(); the architecture is enough ("aarch64").
std::vector<std::string> resolve_targets(const std::filesystem::path& root, const std::vector<std::string>& names);

/// One column of the matrix: a build folder whose compile_commands.json says how sources are compiled.
struct LintBuild {
  std::string target;
  std::string features;           ///< what a person reads: "-", "ept-level-4", "all"
  std::filesystem::path folder;
  std::filesystem::path board;    ///< written there before configuring; empty for the host
  std::string board_text;
  Argv configure;
};

/// The builds of a target: of a board, each feature that can be chosen alone, then all together; of the host, one.
std::vector<LintBuild> lint_builds(const Context& context, const std::string& target);

/// `text` of a board file with another list of features.
std::string with_features(const std::string& text, const std::set<std::string>& features);

/// The sources below `root`/`package` that `build` compiles, sorted, relative to `root`.
std::vector<std::string> compiled_sources(const std::filesystem::path& root, const LintBuild& build, const std::string& package);

}  // namespace ax::xtask
