#include <CLI/CLI.hpp>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/packages.hpp"

namespace ax::xtask {

Handler declare_setup(CLI::App&) {
  return [](Context& context) {
    ensure_packages(context, {});
    if (!context.dry_run) {
      context.console.step("nothing is missing");
    }
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
