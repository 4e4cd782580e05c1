#include "tests/build/source_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace ax::build_test {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kStepMark = "STEP| ";
constexpr std::string_view kCompilation = "Building ";

/// Variables that presets, CMake, compilers or Ninja read.
constexpr const char* kForeignVariables[] = {
    "AXVISOR_VM_CONFIGS", "AXVISOR_SMP", "AXVISOR_CONFIG_PATH", "AXVISOR_BOARD", "CC", "CXX", "CFLAGS", "CXXFLAGS", "ASMFLAGS",
    "LDFLAGS", "NINJA_STATUS", "NINJAFLAGS", "CMAKE_GENERATOR", "CMAKE_BUILD_TYPE", "CMAKE_TOOLCHAIN_FILE", "CMAKE_PREFIX_PATH",
    "CMAKE_EXPORT_COMPILE_COMMANDS", "DESTDIR", "MAKEFLAGS", "VERBOSE"};

void copy_sources(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (name == ".git" || name == "build" || name == ".cache" || name == "compile_commands.json") {
      continue;
    }
    fs::copy(entry.path(), to / name, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
}

}  // namespace

Result run(const Argv& argv, const EnvironmentChanges& environment, const fs::path& folder) {
  EnvironmentChanges changes = environment;
  for (const char* name : kForeignVariables) {
    changes.emplace(name, std::nullopt);
  }
  Argv merged{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"};
  merged.insert(merged.end(), argv.begin(), argv.end());
  const xtask::CapturedOutput captured = xtask::capture_command({.argv = merged, .folder = folder, .environment = changes});
  return {captured.status, captured.output};
}

bool Steps::cmake_ran() const {
  return std::ranges::any_of(descriptions, [](const std::string& text) { return text.starts_with("Re-running CMake"); });
}

std::set<std::string> Steps::compiled() const {
  std::set<std::string> out;
  for (const std::string& text : descriptions) {
    if (text.starts_with(kCompilation)) {
      out.insert(text.substr(text.rfind(' ') + 1));
    }
  }
  return out;
}

std::set<std::string> Steps::others() const {
  std::set<std::string> out;
  for (const std::string& text : descriptions) {
    if (!text.starts_with(kCompilation)) {
      out.insert(text);
    }
  }
  return out;
}

SourceTree::SourceTree(fs::path root) : root_(std::move(root)) {
  // The name `build` is left out at the top only: tests/build is source.
  copy_sources(AXVISOR_SOURCE_DIR, root_);
  fs::create_directories(root_ / "build");
  fs::create_directory_symlink(AXVISOR_HOST_BUILD_DIR, root_ / "build/host");
}

void SourceTree::replace(const std::string& name, std::string_view from, std::string_view to) const {
  std::string text = read(name);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << name << " has no " << from;
  text.replace(at, from.size(), to);
  write(name, text);
}

TemporaryEdit::TemporaryEdit(const SourceTree& tree, const std::string& name, std::string_view from, std::string_view to)
    : path_(tree.path(name)), content_(tree.read(name)), time_(fs::last_write_time(path_)) {
  tree.replace(name, from, to);
}

TemporaryEdit::~TemporaryEdit() {
  xtask::write_file(path_, content_);
  fs::last_write_time(path_, time_);
}

Result BuildFolder::configure(const std::string& preset, const Argv& arguments, const EnvironmentChanges& environment) const {
  Argv argv{AXVISOR_CMAKE, "--preset", preset, "-B", folder_.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, environment, tree_.root());
}

Steps BuildFolder::build(const Argv& targets, const EnvironmentChanges& environment) const { return ninja(targets, environment); }

Steps BuildFolder::plan(const Argv& targets) const {
  Argv arguments{"-n"};
  arguments.insert(arguments.end(), targets.begin(), targets.end());
  return ninja(arguments, {});
}

Steps BuildFolder::ninja(const Argv& arguments, const EnvironmentChanges& environment) const {
  Argv argv{"ninja", "-C", folder_.string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  EnvironmentChanges changes = environment;
  changes["NINJA_STATUS"] = std::string(kStepMark);
  Steps steps;
  static_cast<Result&>(steps) = run(argv, changes, tree_.root());
  std::istringstream lines(steps.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kStepMark)) {
      steps.descriptions.push_back(line.substr(kStepMark.size()));
    }
  }
  return steps;
}

}  // namespace ax::build_test
