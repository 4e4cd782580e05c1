// Runs a program and keeps what it said.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/config/support.hpp"

namespace ax::config::testing {

struct Finished {
  int status = -1;  ///< exit status; 128 + N for signal N
  std::string output;
  std::string errors;
};

/// Runs a shell command line to its end.
inline Finished run(const std::string& command) {
  TemporaryFolder folder;
  const std::string redirected =
      "(" + command + ") >" + (folder / "out").string() + " 2>" + (folder / "err").string() + " </dev/null";
  const int raw = std::system(redirected.c_str());
  const int status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return {status, read_file(folder / "out"), read_file(folder / "err")};
}

/// Whether a program of that name is on the PATH.
inline bool has_program(const std::string& name) { return run("command -v " + name).status == 0; }

inline std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

}  // namespace ax::config::testing
