#include <CLI/CLI.hpp>

#include <memory>

#include "tools/xtask/build/board.hpp"
#include "tools/xtask/command/commands.hpp"

namespace ax::xtask {

Handler declare_defconfig(CLI::App& app) {
  const auto board = std::make_shared<std::string>();
  app.add_option("BOARD", *board, "A name from configs/board (./xtask config ls)")->required()->type_name("");
  return [board](Context& context) {
    if (context.dry_run) {
      print_out("cp configs/board/" + *board + ".toml .build.toml\n");
      return ExitCode::Success;
    }
    const std::filesystem::path backup =
        write_default_config(context.root, *board, std::chrono::system_clock::now());
    if (!backup.empty()) {
      context.console.step("kept the previous .build.toml as " + backup.filename().string());
    }
    context.console.step("wrote .build.toml for " + *board);
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
