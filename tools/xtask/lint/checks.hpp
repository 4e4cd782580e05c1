// The checkers, and the commands that they are run with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/xtask/core/process.hpp"
#include "tools/xtask/lint/matrix.hpp"

namespace ax::xtask {

enum class Checker : std::uint8_t { Format, Tidy, Cppcheck, Shellcheck };

struct CheckerInfo {
  Checker checker;
  std::string_view name;     ///< for --checks and the summary
  std::string_view tool;     ///< for findings
  std::string_view program;  ///< what is run
  bool per_build;            ///< the answer depends on target and features
  bool fixes;                ///< it can repair what it finds
};
std::span<const CheckerInfo> all_checkers();
const CheckerInfo& info(Checker checker);

/// Lines of a file that are to be judged, 1-based and inclusive; no ranges: all of it.
using LineRanges = std::vector<std::pair<unsigned, unsigned>>;
using ChangedLines = std::map<std::string, LineRanges>;

/// What `git diff -U0` says that was added or changed, per file of the new side.
ChangedLines parse_diff(std::string_view diff);
/// The lines of C++ files that differ from `revision`, and all of the files that git does not know yet. Empty `revision`:
/// where this branch left main. Throws Failure(Usage) for an unknown revision; nothing outside a git checkout.
std::optional<ChangedLines> changed_lines(const std::filesystem::path& root, const std::string& revision);

/// Whether there are changes that a commit would lose track of; false outside a git checkout.
bool has_uncommitted_changes(const std::filesystem::path& root);
bool is_git_checkout(const std::filesystem::path& root);

std::vector<Argv> format_commands(const ChangedLines& files, bool fix);
/// `per_command` files each, so that all processors have something to do.
std::vector<Argv> tidy_commands(const LintBuild& build, const std::vector<std::string>& sources, bool fix);
std::vector<Argv> cppcheck_commands(const std::filesystem::path& root, const LintBuild& build, const std::string& package);
std::vector<Argv> shellcheck_commands(const std::vector<std::string>& scripts);

/// C++ files below `root`/`package`, and shell scripts anywhere, relative to `root`, sorted; build folders left out.
std::vector<std::string> cpp_files(const std::filesystem::path& root, const std::string& package);
std::vector<std::string> shell_scripts(const std::filesystem::path& root);

}  // namespace ax::xtask
