// What the tests of xtask share: scratch trees, fake programs, and the real program run as a user would run it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask::test {

/// Sets an environment variable (or unsets it) for the life of the object.
class ScopedEnvironment {
 public:
  ScopedEnvironment(std::string name, std::optional<std::string> value);
  ~ScopedEnvironment();
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> saved_;
};

/// Writes an executable shell script.
void write_script(const std::filesystem::path& path, std::string_view body);

/// Runs `action` and returns the Failure it throws; a test failure if it throws none.
Failure failure_of(const std::function<void()>& action);

/// True once `pid` is gone, zombies included; waits up to ten seconds for it.
bool is_gone(pid_t pid);

/// A program on a pseudo-terminal of its own, as in a user's terminal window.
class TerminalProgram {
 public:
  TerminalProgram(const Argv& argv, const EnvironmentChanges& environment);
  ~TerminalProgram();
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  /// Waits until `text` has appeared in all output so far; false after ten seconds or at the end.
  bool wait_for(std::string_view text);
  void type(std::string_view text);
  /// Reads to the end; returns the exit status, 128 + signal.
  int finish();
  const std::string& output() const { return output_; }
  pid_t pid() const { return pid_; }
  /// The terminal is in its ordinary line-by-line mode with echo.
  bool terminal_is_cooked() const;

 private:
  bool read_some();

  pid_t pid_ = -1;
  int master_ = -1;
  int slave_ = -1;  ///< kept open: the terminal's settings outlive the program
  std::string output_;
};

struct ProgramResult {
  int status = 0;
  std::string output;  ///< stdout and stderr
};

/// Runs to the end with stdin empty.
ProgramResult run_program(const Argv& argv, const EnvironmentChanges& environment = {},
                          const std::filesystem::path& folder = {});

/// A source tree that has just what xtask looks for, and a PATH folder for fake programs.
class ScratchTree {
 public:
  ScratchTree();
  std::filesystem::path root() const { return folder_.path() / "tree"; }
  std::filesystem::path programs() const { return folder_.path() / "bin"; }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  void write(const std::string& name, std::string_view content) const { write_file(root() / name, content); }
  /// The xtask program in this tree.
  ProgramResult xtask(const std::vector<std::string>& arguments, EnvironmentChanges environment = {}) const;

 private:
  TemporaryFolder folder_;
};

}  // namespace ax::xtask::test
