#include <CLI/CLI.hpp>

#include <array>

#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/packages.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// What the hypervisor is built for (kMaxCpus of platforms/machine_info.hpp).
constexpr int kMostCpus = 64;

constexpr std::array<std::string_view, 4> kBuildGroups{"build", "host", "target", "images"};

/// Copies beside the old product, then renames: a running emulator keeps the file it opened.
void copy_product(const Context& context, const fs::path& from, const fs::path& folder) {
  if (context.dry_run) {
    print_out(format_command({"cp", from, folder / from.filename()}) + "\n");
  } else if (fs::exists(from)) {
    write_file(folder / from.filename(), read_file(from));
  }
}

}  // namespace

std::shared_ptr<BoardOptions> declare_board_options(CLI::App& app) {
  auto options = std::make_shared<BoardOptions>();
  app.add_option("--vmconfigs", options->vm_configs, "A virtual machine's TOML file, instead of the board's (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--smp", options->smp, "Most CPUs to bring up")->check(CLI::Range(1, kMostCpus));
  app.add_option("--build-dir", options->build_dir, "Build here instead of build/<preset>")->type_name("FOLDER");
  app.add_option("--bin-dir", options->bin_dir, "Copy axvisor and axvisor.bin here")->type_name("FOLDER");
  app.add_flag("--debug", options->debug, "Unoptimised, with all checks");
  return options;
}

BoardProducts build_board(const Context& context, const BoardOptions& options) {
  ensure_packages(context, kBuildGroups);
  BoardProducts products{current_board(context.root), {}};
  if (!products.board.chosen) {
    context.console.step("no .build.toml: building for the default board " + products.board.name);
  }
  BuildRequest request;
  request.debug = options.debug;
  request.smp = options.smp;
  request.build_dir = options.build_dir.empty() ? fs::path() : context.resolve(options.build_dir);
  for (const fs::path& path : options.vm_configs) {
    request.vm_configs.push_back(context.resolve(path));
  }
  const BuildFolder build = board_build(context, products.board, request);
  // Not the images of the boot tests: they would fetch guests that this one has no use for.
  configure_and_build(context, build, {"axvisor", "compile-commands"});
  products.files.elf = build.folder / "axvisor";
  if (products.board.to_bin) {
    products.files.bin = build.folder / "axvisor.bin";
  }
  if (!options.bin_dir.empty()) {
    for (const fs::path& file : {products.files.elf, products.files.bin}) {
      if (!file.empty()) {
        copy_product(context, file, context.resolve(options.bin_dir));
      }
    }
  }
  return products;
}

Handler declare_build(CLI::App& app) {
  return [options = declare_board_options(app)](Context& context) {
    const BoardProducts products = build_board(context, *options);
    if (!context.dry_run) {
      context.console.step("built " + products.files.elf.string() +
                           (products.files.bin.empty() ? "" : " and " + products.files.bin.string()));
    }
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
