#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstdlib>

#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/packages.hpp"
#include "tools/xtask/core/toml_file.hpp"
#include "tools/xtask/run/bochs.hpp"
#include "tools/xtask/run/grub_iso.hpp"
#include "tools/xtask/run/runner.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

fs::path qemu_config(const Context& context, const fs::path& given, const std::string& arch) {
  if (!given.empty()) {
    return context.resolve(given);
  }
  const fs::path own = context.root / fmt::format(".qemu-{}.toml", arch);
  return fs::exists(own) ? own : context.root / fmt::format("configs/qemu/qemu-{}.toml", arch);
}

/// The number of CPUs that the hypervisor was told to use is the number that the machine gets; the QEMU configuration decides
/// where nobody said.
std::vector<std::pair<std::string, std::string>> smp_override(const BoardOptions& options, const Board& board) {
  const char* environment = std::getenv("AXVISOR_SMP");
  if (options.smp) {
    return {{"smp", std::to_string(*options.smp)}};
  }
  if (environment != nullptr && *environment != '\0') {
    return {{"smp", environment}};
  }
  if (board.smp) {
    return {{"smp", std::to_string(*board.smp)}};
  }
  return {};
}

Variables variables_for(const Context& context, const BootFiles& files) {
  Variables variables(random_nonce());
  variables.define("workspaceFolder", context.root);
  variables.define("elf", files.elf);
  variables.define("bin", files.bin);
  return variables;
}

/// Before the image is built only its name is known, and with --dry-run it may never exist.
Argv planned_command(const RunConfig& config, const BoardProducts& products, Debugger debugger) {
  MachineSettings machine = config.machine;
  if (machine.emulator.empty()) {
    machine.emulator = "qemu-system-" + products.board.arch();
  }
  return qemu_command(machine, products.files, debugger, ImageCheck::Skip);
}

ExitCode run(const Context& context, const RunConfig& config, Target& target, const RunOptions& options) {
  return report_outcome(context.console, config.script, run_target(target, config.script, options));
}

ExitCode boot(const Context& context, const RunConfig& config, const Argv& command, const RunOptions& options) {
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return ExitCode::Success;
  }
  context.console.detail(format_command(command));
  adopt_orphans();
  EmulatorTarget target(command);
  return run(context, config, target, options);
}

ExitCode boot_in_bochs(const Context& context, const RunConfig& config, const BootFiles& files, const RunOptions& options) {
  if (context.dry_run) {
    print_out(format_command({config.machine.emulator, "-q", "-f", "bochsrc"}) + "\n");
    return ExitCode::Success;
  }
  adopt_orphans();
  BochsTarget target(config.machine, files.iso);
  return run(context, config, target, options);
}

/// The CD image that a run needs and was not given is made in `folder`.
void provide_iso(const Context& context, const MachineSettings& machine, const fs::path& folder, BootFiles& files) {
  if (machine.kernel != KernelSource::Iso || !files.iso.empty()) {
    return;
  }
  files.iso = folder / "axvisor.iso";
  if (context.dry_run) {
    return;
  }
  if (!fs::is_regular_file(files.elf)) {
    throw Failure(ExitCode::Usage, files.elf.empty() ? "no image to boot: neither --iso nor --elf is given"
                                                     : fmt::format("no image to boot: {} does not exist", files.elf.string()));
  }
  make_grub_iso(context.console, files.elf, files.iso, machine.uefi ? Firmware::Uefi : Firmware::Bios);
}

struct QemuOptions {
  std::shared_ptr<BoardOptions> board;
  fs::path qemu_config;
  bool gdb = false;
};

ExitCode run_qemu(const Context& context, const QemuOptions& options) {
  ensure_packages(context, {});  // all at once: one question
  BoardProducts products = build_board(context, *options.board);
  const fs::path file = qemu_config(context, options.qemu_config, products.board.arch());
  const RunConfig config =
      load_run_config(file, smp_override(*options.board, products.board), variables_for(context, products.files));
  const bool wants_bin = config.machine.kernel == KernelSource::Bin || config.machine.kernel == KernelSource::Loader;
  if (wants_bin && products.files.bin.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("{} wants axvisor.bin, which the board {} does not build (to_bin = false)",
                                               file.string(), products.board.name));
  }
  if (is_bochs(config.machine)) {
    throw Failure(ExitCode::Usage, file.string() + ": Bochs has no interactive console: use `xtask run`");
  }
  const TemporaryFolder folder;
  provide_iso(context, config.machine, folder.path(), products.files);
  const Debugger debugger = options.gdb ? Debugger::Wait : Debugger::None;
  const Argv command = context.dry_run ? planned_command(config, products, debugger)
                                       : qemu_command(config.machine, products.files, debugger);
  if (options.gdb) {
    context.console.step("QEMU waits for a debugger: gdb-multiarch " + products.files.elf.string() +
                         " -ex 'target remote :1234'");
  }
  context.console.step("starting QEMU (Ctrl-A x quits)");
  return boot(context, config, command, {.interactive = true, .log = {}});
}

struct BareRunOptions {
  fs::path config;
  BootFiles files;
  fs::path workspace;
  fs::path log;
  std::vector<fs::path> needs;
  std::vector<std::string> set;
  std::vector<std::string> define;
  bool interactive = false;
  bool gdb = false;
};

std::pair<std::string, std::string> split_assignment(const std::string& option, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw Failure(ExitCode::Usage, fmt::format("{} {}: expected NAME=VALUE", option, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

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
  const RunConfig config = load_run_config(context.resolve(options.config), overrides, variables);
  const RunOptions run_options{.interactive = options.interactive,
                               .log = options.log.empty() ? fs::path() : context.resolve(options.log)};
  const TemporaryFolder folder;
  provide_iso(context, config.machine, folder.path(), files);
  if (is_bochs(config.machine)) {
    if (options.interactive || options.gdb) {
      throw Failure(ExitCode::Usage, "Bochs runs by itself: neither --interactive nor --gdb");
    }
    return boot_in_bochs(context, config, files, run_options);
  }
  return boot(context, config, qemu_command(config.machine, files, options.gdb ? Debugger::Wait : Debugger::None), run_options);
}

}  // namespace

Handler declare_qemu(CLI::App& app) {
  const auto options = std::make_shared<QemuOptions>();
  options->board = declare_board_options(app);
  app.add_option("--qemu-config", options->qemu_config, "QEMU's arguments and what to look for on the console")
      ->type_name("FILE");
  app.add_flag("--gdb", options->gdb, "Wait for a debugger on localhost:1234 before the first instruction");
  return [options](Context& context) { return run_qemu(context, *options); };
}

Handler declare_run(CLI::App& app) {
  const auto options = std::make_shared<BareRunOptions>();
  app.add_option("--config", options->config, "What to run and what to look for")->type_name("FILE")->required();
  app.add_option("--elf", options->files.elf, "The image with symbols")->type_name("FILE");
  app.add_option("--bin", options->files.bin, "The flat image")->type_name("FILE");
  app.add_option("--iso", options->files.iso, "A CD image, for kernel = \"iso\" (default: one is made of the ELF file)")
      ->type_name("FILE");
  app.add_option("--needs", options->needs, "Skip the run (status 77) where this guest image could not be fetched (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--workspace", options->workspace, "What ${workspaceFolder} stands for")->type_name("FOLDER");
  app.add_option("--set", options->set, "Replace a key of the configuration (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("-D,--define", options->define, "Define ${NAME} (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--log", options->log, "Write the console's bytes here too")->type_name("FILE");
  app.add_flag("--interactive", options->interactive, "Type into the console from this terminal");
  app.add_flag("--gdb", options->gdb, "Wait for a debugger on localhost:1234 before the first instruction");
  return [options](Context& context) { return run_bare(context, *options); };
}

}  // namespace ax::xtask
