// Runs a target with a console script: streams its console, types, judges, and leaves nothing behind.
#pragma once

#include <filesystem>
#include <string>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/run/console_judge.hpp"
#include "tools/xtask/run/target.hpp"

namespace ax::xtask {

struct RunOptions {
  bool interactive = false;    ///< stdin is typed into the console; a terminal is raw meanwhile
  std::filesystem::path log;   ///< the console's bytes go here too; empty: nowhere
  std::filesystem::path record{};  ///< and here with their times, as an asciicast; empty: nowhere
  bool leave_by_key = false;   ///< Ctrl-A x ends the run, Ctrl-A Ctrl-A types one: where no emulator has keys of its own
};

struct RunOutcome {
  Verdict verdict;
  double seconds = 0;
  std::string last_lines;  ///< of the console, for a report
  std::string trouble;     ///< what the emulator itself complains about
};

/// Runs to the verdict; the target is stopped before this returns or throws. Throws Failure(Interrupted) on an ending signal.
RunOutcome run_target(Target& target, const ConsoleScript& script, const RunOptions& options);

/// Says how it went (failures with what was awaited and the last console lines) and returns the command's exit code;
/// for verdict = "fail" the expected failure is a success.
ExitCode report_outcome(const Console& console, const ConsoleScript& script, const RunOutcome& outcome);

}  // namespace ax::xtask
