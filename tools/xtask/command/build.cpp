#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>

#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/packages.hpp"
#include "tools/xtask/core/suggest.hpp"

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

/// [system.Custom]: the user's command makes the ELF file, and a flat image is made of it where one is wanted.
void build_custom(const Context& context, BoardProducts& products) {
  const CustomBuild& custom = *products.board.custom;
  run_step(context, {"sh", "-c", custom.command}, "build_cmd");
  products.files.elf = custom.elf;
  if (products.board.to_bin) {
    products.files.bin = fs::path(custom.elf).replace_extension(".bin");
    run_step(context, {"llvm-objcopy-19", "--strip-all", "-O", "binary", custom.elf, products.files.bin}, "objcopy");
  }
  products.folder = custom.elf.parent_path();
}

void build_image(const Context& context, const BoardOptions& options, BoardProducts& products) {
  BuildRequest request;
  request.debug = options.debug;
  request.smp = options.smp;
  request.build_dir = options.build_dir.empty() ? fs::path() : context.resolve(options.build_dir);
  for (const fs::path& path : options.vm_configs) {
    request.vm_configs.push_back(vm_file(context, path));
  }
  const BuildFolder build = board_build(context, products.board, request);
  // The image alone: images for boot tests and their guests are for whoever runs those tests.
  configure_and_build(context, build, {"axvisor", "compile-commands"});
  products.folder = build.folder;
  products.files.elf = build.folder / "axvisor";
  if (products.board.to_bin) {
    products.files.bin = build.folder / "axvisor.bin";
  }
}

void report_built(const Context& context, const BoardProducts& products) {
  if (!context.dry_run) {
    context.console.step("built " + products.files.elf.string() +
                         (products.files.bin.empty() ? "" : " and " + products.files.bin.string()));
  }
}

/// Every board, each in a folder of its own below --build-dir and --bin-dir; goes on after a failure.
ExitCode build_all(const Context& context, const BoardOptions& options, const Assignments& set) {
  std::vector<std::string> failed;
  const std::vector<std::string> names = board_names(context.root);
  for (const std::string& name : names) {
    BoardOptions own = options;
    own.build_dir = options.build_dir.empty() ? fs::path() : options.build_dir / name;
    own.bin_dir = options.bin_dir.empty() ? fs::path() : options.bin_dir / name;
    try {
      report_built(context, build_board(context, own, {.board = name, .set = set}));
    } catch (const Failure& failure) {
      if (failure.code() == ExitCode::Interrupted || failure.code() == ExitCode::Environment) {
        throw;
      }
      context.console.error(fmt::format("{}: {}", name, failure.what()), failure.hint());
      failed.push_back(name);
    }
  }
  if (!context.dry_run) {
    print_out(fmt::format("{} boards built, {} failed{}{}\n", names.size() - failed.size(), failed.size(),
                          failed.empty() ? "" : ": ", fmt::join(failed, ", ")));
  }
  return failed.empty() ? ExitCode::Success : ExitCode::Failure;
}

}  // namespace

fs::path vm_file(const Context& context, const fs::path& given) {
  const fs::path path = context.resolve(given);
  if (fs::exists(path) || given.has_parent_path()) {
    return path;
  }
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(context.root / "configs/vms", none)) {
    if (entry.is_directory()) continue;
    const fs::path name = entry.path().filename();
    if (name == given || name == given.string() + ".toml") {
      return entry.path();
    }
    names.push_back(name.extension() == ".toml" ? name.stem().string() : name.string());
  }
  const std::string missing = missing_path(path);
  const std::string other = did_you_mean(given.stem().string(), names);
  const bool has_one = other.empty() || missing.find("did you mean") != std::string::npos;
  throw Failure(ExitCode::Usage, fmt::format("--vmconfigs: {}{}", missing, has_one ? "" : other + " (configs/vms)"),
                "./xtask config ls lists the virtual machines of this tree");
}

std::pair<std::string, std::string> split_assignment(std::string_view option, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw Failure(ExitCode::Usage, fmt::format("{} {}: expected NAME=VALUE", option, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Assignments board_settings(const BoardOptions& options) {
  Assignments set;
  for (const std::string& text : options.set) {
    set.push_back(split_assignment("--set", text));
  }
  return set;
}

Settings split_settings(const BoardOptions& options, std::vector<std::string> machine_keys, std::string_view file) {
  const std::vector<std::string> board = board_keys();
  Settings settings;
  for (auto& [key, value] : board_settings(options)) {
    const std::string top = key.substr(0, key.find('.'));
    if (std::ranges::find(board, top) != board.end()) {
      settings.board.emplace_back(key, value);
    } else if (std::ranges::find(machine_keys, top) != machine_keys.end()) {
      settings.machine.emplace_back(key, value);
    } else {
      machine_keys.insert(machine_keys.end(), board.begin(), board.end());
      throw Failure(ExitCode::Usage,
                    fmt::format("--set {}: neither a board nor {} has such a key{}", key, file, did_you_mean(top, machine_keys)));
    }
  }
  return settings;
}

std::shared_ptr<BoardOptions> declare_board_options(CLI::App& app) {
  auto options = std::make_shared<BoardOptions>();
  app.add_option("--build-config", options->build_config, "The board's file, instead of .build.toml")
      ->type_name("FILE")
      ->check(existing_file());
  app.add_option("--vmconfigs", options->vm_configs,
                 "A virtual machine's TOML file, or its name in configs/vms, instead of the board's (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--set", options->set, "Replace a key of the configuration (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--smp", options->smp, "Most CPUs to bring up")->check(CLI::Range(1, kMostCpus));
  app.add_option("--build-dir", options->build_dir, "Build here instead of build/<preset>")->type_name("FOLDER");
  app.add_option("--bin-dir", options->bin_dir, "Copy axvisor and axvisor.bin here")->type_name("FOLDER");
  app.add_flag("--debug", options->debug, "Unoptimised, with all checks");
  return options;
}

BoardChoice board_choice(const Context& context, const BoardOptions& options, Assignments set) {
  return {.build_config = options.build_config.empty() ? fs::path() : context.resolve(options.build_config),
          .board = {},
          .set = std::move(set)};
}

BoardProducts build_board(const Context& context, const BoardOptions& options, const BoardChoice& choice) {
  ensure_packages(context, kBuildGroups);
  BoardProducts products{current_board(context.root, choice), {}, {}};
  for (const std::string& notice : products.board.notices) {
    context.console.warn(notice);
  }
  if (!products.board.chosen) {
    context.console.step("no .build.toml: building for the default board " + products.board.name);
  }
  if (products.board.custom) {
    build_custom(context, products);
  } else {
    build_image(context, options, products);
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
  const auto options = declare_board_options(app);
  const auto all = std::make_shared<bool>(false);
  app.add_flag("--all-boards", *all, "Every board of configs/board, each in a build folder of its own")
      ->excludes("--build-config")
      ->excludes("--vmconfigs");
  return [options, all](Context& context) {
    const Assignments set = board_settings(*options);
    if (*all) {
      return build_all(context, *options, set);
    }
    report_built(context, build_board(context, *options, board_choice(context, *options, set)));
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
