#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <memory>

#include "tools/config/configuration.hpp"
#include "tools/menuconfig/terminal.hpp"
#include "tools/menuconfig/web.hpp"
#include "tools/xtask/build/board.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using menuconfig::FileKind;

constexpr int kLastPort = 65'535;

struct MenuOptions {
  std::string start = "build";
  fs::path file;
  std::string kind;
  std::string board = kDefaultBoard;
  bool web = false;
  int port = 0;
};

menuconfig::Places places_of(const Context& context) {
  menuconfig::Places places{context.root, {}};
  const char* path = std::getenv("AXVISOR_CONFIG_PATH");
  for (const std::string& folder : config::split_paths(path == nullptr ? "" : path)) {
    places.config_folders.push_back(context.resolve(folder));
  }
  places.config_folders.push_back(context.root / "configs");
  return places;
}

/// What a file that does not exist yet begins with: the tree's own one for the same purpose.
std::string template_of(const fs::path& file) { return fs::is_regular_file(file) ? read_file(file) : ""; }

size_t open_file(menuconfig::Model& model, FileKind kind, const fs::path& path, const std::string& initial = {}) {
  const auto index = model.open(kind, path, initial);
  if (!index) {
    throw Failure(ExitCode::Usage, index.error());
  }
  return *index;
}

std::string arch_of(const menuconfig::Model& model, size_t board) {
  for (const menuconfig::Row& row : model.rows(board)) {
    if (row.path == "target") {
      const std::string target = model.value(board, row).value_or("");
      return target.substr(0, target.find('-'));
    }
  }
  return "";
}

/// Opens what belongs to the chosen board. Returns the page to start with.
size_t open_board_files(const Context& context, const MenuOptions& options, menuconfig::Model& model) {
  const fs::path board_file = context.root / "configs/board" / (options.board + ".toml");
  if (!fs::is_regular_file(board_file)) {
    const std::vector<std::string> names = board_names(context.root);
    throw Failure(ExitCode::Usage, fmt::format("unknown board '{}'{}", options.board, did_you_mean(options.board, names)),
                  fmt::format("boards: {}", fmt::join(names, ", ")));
  }
  const std::string initial = fmt::format("# board: {}\n{}", options.board, template_of(board_file));
  const size_t board = open_file(model, FileKind::Board, context.root / ".build.toml", initial);
  std::string arch = arch_of(model, board);
  if (arch.empty()) {
    arch = "aarch64";
  }
  const size_t qemu = open_file(model, FileKind::Qemu, context.root / fmt::format(".qemu-{}.toml", arch),
                                template_of(context.root / fmt::format("configs/qemu/qemu-{}.toml", arch)));
  const size_t uboot =
      open_file(model, FileKind::Uboot, context.root / ".uboot.toml", "# How ./xtask uboot reaches the board.\n");
  return options.start == "qemu" ? qemu : options.start == "uboot" ? uboot : board;
}

FileKind kind_of(const MenuOptions& options, const fs::path& path) {
  constexpr std::pair<std::string_view, FileKind> kinds[] = {
      {"board", FileKind::Board}, {"vm", FileKind::Vm}, {"qemu", FileKind::Qemu}, {"uboot", FileKind::Uboot}};
  for (const auto& [name, kind] : kinds) {
    if (options.kind == name) {
      return kind;
    }
  }
  if (!fs::is_regular_file(path)) {
    throw Failure(ExitCode::Usage, no_such_file("--file", path).what(), "--kind says what a new file shall be");
  }
  const menuconfig::TomlText text(read_file(path));
  if (text.has("base.name") || text.has("kernel.kernel_path")) {
    return FileKind::Vm;
  }
  if (text.has("target") || text.has("platform") || text.has("features")) {
    return FileKind::Board;
  }
  return text.has("serial") || text.has("uboot_cmd") ? FileKind::Uboot : FileKind::Qemu;
}

ExitCode edit(const Context& context, const MenuOptions& options) {
  menuconfig::Model model(places_of(context));
  const fs::path file = options.file.empty() ? fs::path() : context.resolve(options.file);
  const size_t start = file.empty() ? open_board_files(context, options, model) : open_file(model, kind_of(options, file), file);
  if (context.dry_run) {
    for (const menuconfig::EditedFile& edited : model.files()) {
      print_out(fmt::format("# edits {}{}\n", edited.shown, edited.exists ? "" : " (new)"));
    }
    return ExitCode::Success;
  }
  std::vector<std::string> saved;
  bool discarded = false;
  if (options.web) {
    auto written = menuconfig::edit_in_browser(model, static_cast<u16>(options.port), [&](const std::string& address) {
      print_out(address + "\n");
      std::fflush(stdout);
      context.console.step("open this address in a browser of this machine; Ctrl-C ends it");
    });
    if (!written) {
      throw Failure(ExitCode::Environment, written.error());
    }
    saved = *std::move(written);
    discarded = model.changed();
  } else {
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
      throw Failure(ExitCode::Usage, "menuconfig needs a terminal",
                    "use --web, or an editor with the JSON Schemas of docs/schema");
    }
    discarded = menuconfig::edit_on_terminal(model, start, saved) == menuconfig::Outcome::Discarded;
  }
  for (const std::string& name : saved) {
    context.console.step("saved " + name);
  }
  if (discarded) {
    throw Failure(ExitCode::Failure, "the changes were thrown away");
  }
  return ExitCode::Success;
}

}  // namespace

Handler declare_menuconfig(CLI::App& app) {
  const auto options = std::make_shared<MenuOptions>();
  app.add_option("PAGE", options->start, "Where to start: build, qemu or uboot")
      ->check(CLI::IsMember({"build", "qemu", "uboot"}))
      ->type_name("");
  app.add_option("-f,--file", options->file, "Edit only this file")->type_name("FILE");
  app.add_option("--kind", options->kind, "What kind of file that is, where it does not show (board, vm, qemu, uboot)")
      ->check(CLI::IsMember({"board", "vm", "qemu", "uboot"}))
      ->type_name("KIND");
  app.add_option("--board", options->board, "Board that a new .build.toml is for")->type_name("NAME");
  app.add_flag("--web", options->web, "Serve a page on 127.0.0.1 instead");
  app.add_option("--port", options->port, "Port of that page (default: a free one)")->check(CLI::Range(0, kLastPort));
  return [options](Context& context) { return edit(context, *options); };
}

}  // namespace ax::xtask
