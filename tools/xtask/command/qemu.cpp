#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/boot.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/packages.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/run/accelerator.hpp"
#include "tools/xtask/run/bochs.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct QemuOptions {
  std::shared_ptr<BoardOptions> board;
  fs::path qemu_config;
  fs::path record;
  bool gdb = false;
  bool dtb_dump = false;
};

/// The names that a QEMU configuration may have, as AxVisor's tools look for them, most particular first.
fs::path qemu_config(const Context& context, const fs::path& given, const std::string& arch) {
  if (!given.empty()) {
    return context.resolve(given);
  }
  for (const std::string& name : {fmt::format("qemu-{}.toml", arch), fmt::format(".qemu-{}.toml", arch), std::string("qemu.toml"),
                                  std::string(".qemu.toml")}) {
    if (fs::exists(context.root / name)) {
      return context.root / name;
    }
  }
  const fs::path shipped = context.root / fmt::format("configs/qemu/qemu-{}.toml", arch);
  if (!fs::exists(shipped)) {
    throw Failure(ExitCode::Usage, fmt::format("there is no QEMU configuration for {}", arch),
                  fmt::format("write .qemu-{}.toml, or name a file with --qemu-config", arch));
  }
  return shipped;
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

/// QEMU writes the device tree that the machine would have, and ends.
ExitCode dump_device_tree(const Context& context, Argv command, const fs::path& file) {
  if (command.front().ends_with("x86_64")) {
    throw Failure(ExitCode::Usage, "--dtb-dump: a PC has no device tree");
  }
  command.insert(command.end(), {"-machine", "dumpdtb=" + file.string()});
  if (!context.dry_run) {
    fs::create_directories(file.parent_path());
  }
  run_step(context, command, "dumping the device tree");
  if (!context.dry_run) {
    print_out(file.string() + "\n");
  }
  return ExitCode::Success;
}

/// Before the image is built only its name is known, and with --dry-run it may never exist.
Argv machine_command(const Context& context, const MachineSettings& machine, const BootFiles& files, bool gdb) {
  return qemu_command(machine, files, gdb ? Debugger::Wait : Debugger::None,
                      context.dry_run ? ImageCheck::Skip : ImageCheck::Require);
}

/// As QEMU spells it; empty where only the image knows.
std::string arch_of(const BoardProducts& products) {
  const std::string arch = products.board.custom ? "" : products.board.arch();
  return arch.starts_with("riscv64") ? "riscv64" : arch;
}

RunConfig config_for(const Context& context, const QemuOptions& options, const BoardProducts& products, const Settings& settings,
                     const std::string& arch) {
  const fs::path file = qemu_config(context, options.qemu_config, arch);
  Assignments overrides = smp_override(*options.board, products.board);
  overrides.insert(overrides.end(), settings.machine.begin(), settings.machine.end());
  RunConfig config = load_run_config(file, overrides, variables_for(context, products.files));
  const bool wants_bin = config.machine.kernel == KernelSource::Bin || config.machine.kernel == KernelSource::Loader;
  if (wants_bin && products.files.bin.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("{} wants axvisor.bin, which the board {} does not build (to_bin = false)",
                                               file.string(), products.board.name));
  }
  if (is_bochs(config.machine)) {
    throw Failure(ExitCode::Usage, file.string() + ": Bochs has no interactive console: use `xtask run`");
  }
  return config;
}

/// A mistake in QEMU's file must not cost a build. The architecture of [system.Custom] is only known of its image.
void check_config(const Context& context, const QemuOptions& options, const BoardChoice& choice, const Settings& settings) {
  BoardProducts expected{current_board(context.root, choice), {}, {}};
  expected.files.elf = "axvisor";
  if (expected.board.custom) {
    return;
  }
  if (expected.board.to_bin) {
    expected.files.bin = "axvisor.bin";
  }
  config_for(context, options, expected, settings, arch_of(expected));
}

ExitCode run_qemu(const Context& context, const QemuOptions& options) {
  const Settings settings =
      split_settings(*options.board, run_config_keys(), "QEMU's file");  // `smp` is the board's: the machine follows
  const BoardChoice choice = board_choice(context, *options.board, settings.board);
  check_config(context, options, choice, settings);
  ensure_packages(context, {});  // all at once: one question
  BoardProducts products = build_board(context, *options.board, choice);
  const std::string plain = emulator_of({}, arch_of(products), products.files);
  RunConfig config = config_for(context, options, products, settings, plain.substr(std::string("qemu-system-").size()));
  MachineSettings& machine = config.machine;
  machine.emulator = machine.emulator.empty() ? plain : machine.emulator;
  if (machine.uefi && machine.emulator.ends_with("aarch64") && !products.board.custom) {
    run_step(context, {"cmake", "--build", products.folder, "--target", "axvisor-efi"}, "building axvisor.efi");
  }
  const TemporaryFolder folder;
  provide_boot_media(context, machine, machine.emulator, folder.path(), products.files);
  machine = with_working_accelerator(std::move(machine), machine.emulator, context.console);
  const Argv command = machine_command(context, machine, products.files, options.gdb);
  if (options.dtb_dump) {
    return dump_device_tree(context, command, products.folder / "qemu.dtb");
  }
  if (options.gdb) {
    context.console.step("QEMU waits for a debugger: gdb-multiarch " + products.files.elf.string() +
                         " -ex 'target remote :1234'");
  }
  context.console.step("starting QEMU (Ctrl-A x quits)");
  if (!context.dry_run) {
    write_file(products.folder / "last-run.command", format_command(command) + "\n");
  }
  return boot(context, config, command,
              {.interactive = true,
               .log = context.dry_run ? fs::path() : products.folder / "last-run.log",
               .record = options.record.empty() ? fs::path() : context.resolve(options.record)});
}

}  // namespace

Handler declare_qemu(CLI::App& app) {
  const auto options = std::make_shared<QemuOptions>();
  options->board = declare_board_options(app);
  app.add_option("--qemu-config", options->qemu_config, "QEMU's arguments and what to look for on the console")
      ->type_name("FILE")
      ->check(existing_file());
  app.add_flag("--gdb", options->gdb, "Wait for a debugger on localhost:1234 before the first instruction");
  app.add_flag("--dtb-dump", options->dtb_dump, "Write the machine's device tree to qemu.dtb in the build folder, and end");
  app.add_option("--record", options->record, "Record the session here, for `asciinema play`")->type_name("FILE");
  return [options](Context& context) { return run_qemu(context, *options); };
}

}  // namespace ax::xtask
