// Several commands at once, their output collected.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <vector>

#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

/// How many commands keep this machine busy: its processors.
size_t default_jobs();

/// Runs every command in `folder`, at most `width` at a time, with stdout and stderr together in the output. `done` is called
/// in the order in which they end; once it returns false no further command is started, and those that run are ended.
/// Throws Failure(Interrupted) on an ending signal, Failure(Environment) where a program cannot be executed; nothing is left
/// running then.
void run_jobs(const std::vector<Argv>& commands, const std::filesystem::path& folder, size_t width,
              const std::function<bool(size_t index, const CapturedOutput& result)>& done);

}  // namespace ax::xtask
