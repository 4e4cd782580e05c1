// How a command ends: the exit codes that users may rely on, and the error that carries one.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace ax::xtask {

enum class ExitCode : int {
  Success = 0,
  Failure = 1,      ///< the build, a test or a run failed
  Usage = 2,        ///< wrong command, option, file or value
  Timeout = 3,      ///< an emulator did not get done in its time
  Environment = 4,  ///< a tool, a package or the network is missing
  Skipped = 77,     ///< a run that needs an image which could not be had; what ctest is told to take for "skipped"
  Interrupted = 130,
};

/// Ends a command. `what()` is one readable sentence without the program's name; `hint()` says what to do, or is empty.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  ExitCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

}  // namespace ax::xtask
