// xtask uboot: boots the image on a board; xtask board ls: the boards that are there.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <memory>

#include "tools/xtask/board/serial_line.hpp"
#include "tools/xtask/board/uboot_boot.hpp"
#include "tools/xtask/board/uboot_config.hpp"
#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/json.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct UbootOptions {
  std::shared_ptr<BoardOptions> build;
  fs::path config;
  std::string board;
  fs::path bin;
  std::string architecture = "aarch64";
  fs::path log;
};

Variables variables_of(const Context& context) {
  Variables variables(random_nonce());
  variables.define("workspaceFolder", context.root.string());
  variables.define("workspace", context.root.string());
  return variables;
}

/// --uboot-config, --board, .uboot.toml; the last is written where there is none.
fs::path config_file(const Context& context, const UbootOptions& options) {
  if (!options.config.empty()) {
    return context.resolve(options.config);
  }
  if (!options.board.empty()) {
    return find_board_profile(context.root, options.board);
  }
  const fs::path file = context.root / ".uboot.toml";
  if (!fs::exists(file) && !context.dry_run) {
    write_file(file, default_uboot_config());
    context.console.step(fmt::format("wrote {}: a board on /dev/ttyUSB0, files over the serial line", file.string()));
  }
  return file;
}

BoardImage built_image(const Context& context, const UbootOptions& options, const Assignments& set) {
  if (!options.bin.empty()) {
    if (!set.empty()) {
      throw Failure(ExitCode::Usage, fmt::format("--set {}: a key of the board, but --bin builds nothing", set.front().first));
    }
    return {"axvisor", options.architecture, context.resolve(options.bin)};
  }
  const BoardProducts products = build_board(context, *options.build, board_choice(context, *options.build, set));
  if (products.files.bin.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("the board {} has no flat image for U-Boot: to_bin is false", products.board.name),
                  "choose a board with to_bin = true: ./xtask defconfig BOARD");
  }
  return {"axvisor", products.board.arch(), products.files.bin};
}

ExitCode uboot(const Context& context, const UbootOptions& options) {
  const Settings settings = split_settings(*options.build, uboot_config_keys(), "U-Boot's file");
  // The file first: a mistake there must not cost a build.
  fs::path file = config_file(context, options);
  const TemporaryFolder scratch;
  if (!fs::exists(file)) {  // a dry run writes nothing that stays
    print_out(fmt::format("# the defaults -> {}\n", file.string()));
    file = scratch.path() / file.filename();
    write_file(file, default_uboot_config());
  }
  const UbootConfig config = load_uboot_config(file, settings.machine, variables_of(context));
  const BoardImage image = built_image(context, options, settings.board);
  if (context.dry_run) {
    print_out(describe_boot(config, image));
    return ExitCode::Success;
  }
  return boot_board(context, config, image, {.interactive = context.console.interactive(), .log = options.log.empty() ? fs::path() : context.resolve(options.log),
                                             .leave_by_key = true});
}

std::string board_json(const std::string& name, const UbootConfig& config, const std::string& holder) {
  return fmt::format("{{\"name\": {}, \"file\": {}, \"serial\": {}, \"baud_rate\": {}, \"plugged_in\": {}, \"in_use_by\": {}}}",
                     json_quote(name), json_quote(config.file.string()), json_quote(config.serial.string()), config.baud_rate,
                     fs::exists(config.serial), holder.empty() ? "null" : json_quote(holder));
}

ExitCode list_boards(const Context& context, bool json) {
  std::vector<std::pair<std::string, fs::path>> profiles = board_profiles(context.root);
  if (fs::exists(context.root / ".uboot.toml")) {
    profiles.insert(profiles.begin(), {"(.uboot.toml)", context.root / ".uboot.toml"});
  }
  std::string text = json ? "" : fmt::format("{:<20} {:<28} {:<8} {}\n", "BOARD", "SERIAL", "BAUD", "IN USE BY");
  for (const auto& [name, file] : profiles) {
    const UbootConfig config = load_uboot_config(file, {}, variables_of(context));
    const std::string holder = BoardLock::holder(config.serial);
    if (json) {
      text += (text.empty() ? "\n  " : ",\n  ") + board_json(name, config, holder);
      continue;
    }
    text += fmt::format("{:<20} {:<28} {:<8} {}\n", name, config.serial.string(), config.baud_rate,
                        !holder.empty()             ? holder
                        : fs::exists(config.serial) ? "-"
                                                    : "- (not plugged in)");
  }
  print_out(!json ? text : text.empty() ? "[]\n" : "[" + text + "\n]\n");
  return ExitCode::Success;
}

}  // namespace

Handler declare_uboot(CLI::App& app) {
  const auto options = std::make_shared<UbootOptions>();
  options->build = declare_board_options(app);
  app.add_option("--uboot-config", options->config,
                 "The board's line and network (default: .uboot.toml, written where there is none)")
      ->type_name("FILE")
      ->check(existing_file());
  app.add_option("--board", options->board, "A profile of `board ls` instead")->type_name("NAME")->excludes("--uboot-config");
  app.add_option("--bin", options->bin, "Boot this flat image; build nothing")->type_name("FILE")->check(existing_file());
  app.add_option("--arch", options->architecture, "The architecture of --bin")->check(CLI::IsMember({"aarch64", "riscv64", "x86_64"}))->needs("--bin");
  app.add_option("--log", options->log, "Write the booted image's console here too")->type_name("FILE");
  return [options](Context& context) { return uboot(context, *options); };
}

Handler declare_board_list(CLI::App& app) {
  const auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "For programs");
  return [json](Context& context) { return list_boards(context, *json); };
}

}  // namespace ax::xtask
