// Runs the [[tests]] of an application.
#pragma once

#include "tools/xtask/app/app_build.hpp"
#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {

/// Runs the program once per test and judges it. Says what failed and why, prints the counts, writes JUnit where asked
/// for.
ExitCode run_app_tests(const Context& context, const LoadedApp& loaded, const AppOptions& options);

}  // namespace ax::xtask
