// A temporary copy of this source tree, configured and built as a user would.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::build_test {

using xtask::Argv;
using xtask::EnvironmentChanges;

struct Result {
  int status = 0;
  std::string output;  ///< stdout and stderr
};

/// Runs a program to its end, without the variables of the caller's environment that would change a build.
Result run(const Argv& argv, const EnvironmentChanges& environment = {}, const std::filesystem::path& folder = {});

/// What Ninja did or would do: the description of every step, in order.
struct Steps : Result {
  std::vector<std::string> descriptions;

  bool nothing_to_do() const { return status == 0 && output.find("no work to do") != std::string::npos; }
  bool cmake_ran() const;
  /// The object files of the compilations among the steps, relative to the build folder.
  std::set<std::string> compiled() const;
  /// All steps that are no compilation.
  std::set<std::string> others() const;
};

/// A copy of the tracked and other source files, without build folders. build/host is that of the original tree, so that the
/// tools are not built again.
class SourceTree {
 public:
  explicit SourceTree(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path path(const std::string& name) const { return root_ / name; }

  std::string read(const std::string& name) const { return xtask::read_file(path(name)); }
  void write(const std::string& name, std::string_view text) const { xtask::write_file(path(name), text); }
  /// Replaces the first `from` of a file. A test failure if there is none.
  void replace(const std::string& name, std::string_view from, std::string_view to) const;

 private:
  std::filesystem::path root_;
};

/// An edit that is taken back, time stamp included, at the end of its life.
class TemporaryEdit {
 public:
  TemporaryEdit(const SourceTree& tree, const std::string& name, std::string_view from, std::string_view to);
  ~TemporaryEdit();
  TemporaryEdit(const TemporaryEdit&) = delete;
  TemporaryEdit& operator=(const TemporaryEdit&) = delete;

 private:
  std::filesystem::path path_;
  std::string content_;
  std::filesystem::file_time_type time_;
};

/// A build folder of a tree.
class BuildFolder {
 public:
  BuildFolder(const SourceTree& tree, std::filesystem::path folder) : tree_(tree), folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }
  Result configure(const std::string& preset, const Argv& arguments = {}, const EnvironmentChanges& environment = {}) const;
  /// Builds targets (all if none is named).
  Steps build(const Argv& targets = {}, const EnvironmentChanges& environment = {}) const;
  /// What build() would do. Without a run of CMake, even if one is due.
  Steps plan(const Argv& targets = {}) const;
  /// Runs CMake again if Ninja finds that it must. Returns the steps.
  Steps regenerate() const { return build({"build.ninja"}); }

 private:
  Steps ninja(const Argv& arguments, const EnvironmentChanges& environment) const;

  const SourceTree& tree_;
  std::filesystem::path folder_;
};

}  // namespace ax::build_test
