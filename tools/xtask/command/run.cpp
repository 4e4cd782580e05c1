#include <CLI/CLI.hpp>

#include <memory>

#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/boot.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/run/accelerator.hpp"
#include "tools/xtask/run/bochs.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct BareRunOptions {
  fs::path config;
  BootFiles files;
  fs::path workspace;
  fs::path log;
  fs::path record;
  std::vector<fs::path> needs;
  std::vector<std::string> set;
  std::vector<std::string> define;
  bool interactive = false;
  bool gdb = false;
};

ExitCode run_bare(Context& context, const BareRunOptions& options) {
  if (!options.workspace.empty()) {
    context.root = context.resolve(options.workspace);
  }
  std::vector<fs::path> needs;
  for (const fs::path& image : options.needs) {
    needs.push_back(context.resolve(image));
  }
  skip_without_images(needs);
  BootFiles files = options.files;
  for (fs::path* file : {&files.elf, &files.bin, &files.iso}) {
    *file = file->empty() ? fs::path() : context.resolve(*file);
  }
  Variables variables = variables_for(context, files);
  for (const std::string& text : options.define) {
    const auto [name, value] = split_assignment("--define", text);
    variables.define(name, value);
  }
  std::vector<std::pair<std::string, std::string>> overrides;
  for (const std::string& text : options.set) {
    overrides.push_back(split_assignment("--set", text));
  }
  RunConfig config = load_run_config(context.resolve(options.config), overrides, variables);
  const RunOptions run_options{.interactive = options.interactive,
                               .log = options.log.empty() ? fs::path() : context.resolve(options.log),
                               .record = options.record.empty() ? fs::path() : context.resolve(options.record)};
  const TemporaryFolder folder;
  if (is_bochs(config.machine)) {
    if (options.interactive || options.gdb) {
      throw Failure(ExitCode::Usage, "Bochs runs by itself: neither --interactive nor --gdb");
    }
    provide_boot_media(context, config.machine, config.machine.emulator, folder.path(), files);
    return boot_in_bochs(context, config, files, run_options);
  }
  const std::string emulator = emulator_of(config.machine, "", files);
  provide_boot_media(context, config.machine, emulator, folder.path(), files);
  config.machine = with_working_accelerator(std::move(config.machine), emulator, context.console);
  return boot(context, config, qemu_command(config.machine, files, options.gdb ? Debugger::Wait : Debugger::None), run_options);
}

}  // namespace

Handler declare_run(CLI::App& app) {
  const auto options = std::make_shared<BareRunOptions>();
  app.add_option("--config", options->config, "What to run and what to look for")
      ->type_name("FILE")
      ->check(existing_file())
      ->required();
  app.add_option("--elf", options->files.elf, "The image with symbols")->type_name("FILE")->check(existing_file());
  app.add_option("--bin", options->files.bin, "The flat image")->type_name("FILE")->check(existing_file());
  app.add_option("--iso", options->files.iso, "A CD image, for kernel = \"iso\" (default: one is made of the ELF file)")
      ->type_name("FILE")
      ->check(existing_file());
  app.add_option("--needs", options->needs, "Skip the run (status 77) where this guest image could not be fetched (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--workspace", options->workspace, "What ${workspaceFolder} stands for")
      ->type_name("FOLDER")
      ->check(existing_folder());
  app.add_option("--set", options->set, "Replace a key of the configuration (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("-D,--define", options->define, "Define ${NAME} (repeatable)")->type_name("NAME=VALUE")->allow_extra_args(false);
  app.add_option("--log", options->log, "Write the console's bytes here too")->type_name("FILE");
  app.add_option("--record", options->record, "Record the session here, for `asciinema play`")->type_name("FILE");
  app.add_flag("--interactive", options->interactive, "Type into the console from this terminal");
  app.add_flag("--gdb", options->gdb, "Wait for a debugger on localhost:1234 before the first instruction");
  return [options](Context& context) { return run_bare(context, *options); };
}

}  // namespace ax::xtask
