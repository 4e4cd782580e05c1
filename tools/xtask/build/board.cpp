#include "tools/xtask/build/board.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/config/configuration.hpp"
#include "tools/config/schema.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/substitution.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBoardLine = "# board: ";

/// Folders with board/ and the like, most important first: those of AXVISOR_CONFIG_PATH, then the tree's.
std::vector<fs::path> config_folders(const fs::path& root) {
  const char* path = std::getenv("AXVISOR_CONFIG_PATH");
  std::vector<fs::path> folders;
  for (const std::string& folder : config::split_paths(path == nullptr ? "" : path)) {
    folders.push_back(fs::absolute(folder));
  }
  folders.push_back(root / "configs");
  return folders;
}

fs::path board_file(const fs::path& root, const std::string& name) {
  fs::path file;
  for (const fs::path& folder : config_folders(root)) {
    file = folder / "board" / (name + ".toml");
    if (fs::is_regular_file(file)) {
      break;
    }
  }
  return file;
}

/// The target of a board that names a platform only.
std::string target_of_platform(const fs::path& root, const std::string& platform, const fs::path& file) {
  std::vector<fs::path> homes = config_folders(root);
  homes.push_back(root);
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  const auto found = config::PlatformFolders(std::move(homes)).find(platform, {}, sources, diagnostics);
  if (!found) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {}", file.string(), diagnostics.render(false)));
  }
  return std::string(found->targets[0]->triple);
}

fs::path user_file(const fs::path& root) { return root / ".build.toml"; }

const fs::path& known_board(const fs::path& root, const std::string& name, const fs::path& file) {
  if (!fs::is_regular_file(file)) {
    if (const std::string_view instead = config::instead_of_hypervisor(name); !instead.empty()) {
      throw Failure(ExitCode::Usage, fmt::format("there is no board '{}'", name), std::string(instead));
    }
    const std::vector<std::string> names = board_names(root);
    throw Failure(ExitCode::Usage, fmt::format("unknown board '{}'{}", name, did_you_mean(name, names)),
                  fmt::format("boards: {}", fmt::join(names, ", ")));
  }
  return file;
}

/// Two backups within one second take the name of the next free one.
fs::path free_backup_name(const fs::path& root, std::chrono::system_clock::time_point now) {
  fs::path name;
  do {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    name = root / fmt::format(".build.toml.backup_{:%Y%m%d_%H%M%S}", fmt::gmtime(seconds));
    now += std::chrono::seconds(1);
  } while (fs::exists(name));
  return name;
}

/// What ostool's tables may hold, and what becomes of it. A key without one here is reported.
struct OstoolKey {
  std::string_view name;
  std::string_view ours;   ///< the board's key; empty: none
  std::string_view why{};  ///< said where there is none
};
constexpr OstoolKey kCargoKeys[] = {
    {"target", "target"},
    {"features", "features"},
    {"log", "log"},
    {"to_bin", "to_bin"},
    {"env", "env"},
    {"args", "cargo_args"},
    {"pre_build_cmds", "pre_build_cmds"},
    {"post_build_cmds", "post_build_cmds"},
    {"package", "", "there is one image, axvisor"},
    {"extra_config", "", "it configures Cargo"},
};

/// The board keys that [system.Cargo] stands for.
TomlTable board_of_cargo(const TomlTable& cargo, const std::string& file, std::vector<std::string>& notices) {
  TomlTable table;
  for (const auto& [key, value] : cargo) {
    const auto* known = std::ranges::find(kCargoKeys, key, &OstoolKey::name);
    if (known == std::end(kCargoKeys)) {
      std::vector<std::string> names;
      for (const OstoolKey& each : kCargoKeys) {
        names.emplace_back(each.name);
      }
      throw Failure(ExitCode::Usage,
                    fmt::format("{}:{}: [system.Cargo] has no key '{}'{}", file, value.line, key, did_you_mean(key, names)));
    }
    if (known->ours.empty()) {
      notices.push_back(fmt::format("{}:{}: '{}' does not apply: {}", file, value.line, key, known->why));
    } else {
      table.emplace(known->ours, value);
    }
  }
  return table;
}

const TomlTable* inner_table(const TomlTable& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : std::get_if<TomlTable>(&found->second.data);
}

CustomBuild custom_build(const TomlTable& custom, const fs::path& root, const std::string& file, bool& to_bin) {
  TomlReader reader(custom, file);
  const Variables variables = [&] {
    Variables all(0);
    all.define("workspaceFolder", root);
    return all;
  }();
  const std::string command = substitute_in_key(variables, reader, "build_cmd", reader.required_string("build_cmd"));
  const fs::path elf = root / substitute_in_key(variables, reader, "elf_path", reader.required_string("elf_path"));
  to_bin = reader.boolean("to_bin").value_or(false);
  reader.finish();
  return {command, elf.lexically_normal()};
}

/// A board file in the making: its keys, whoever's form they came in.
struct BoardKeys {
  TomlTable table;
  bool changed = false;  ///< no file holds them like this
};

BoardKeys board_keys_of(Board& board, const fs::path& root, const fs::path& file) {
  BoardKeys keys{load_toml(file)};
  const TomlTable* system = inner_table(keys.table, "system");
  if (system == nullptr) {
    return keys;
  }
  if (const TomlTable* custom = inner_table(*system, "Custom")) {
    board.custom = custom_build(*custom, root, file.string(), board.to_bin);
    return {};
  }
  const TomlTable* cargo = inner_table(*system, "Cargo");
  if (cargo == nullptr) {
    throw Failure(ExitCode::Usage, fmt::format("{}: [system] needs a table [system.Cargo] or [system.Custom]", file.string()));
  }
  return {board_of_cargo(*cargo, file.string(), board.notices), true};
}

void apply_settings(BoardKeys& keys, const BoardChoice& choice) {
  const std::vector<std::string> known = board_keys();
  for (const auto& [key, value] : choice.set) {
    const std::string top = key.substr(0, key.find('.'));
    if (std::ranges::find(known, top) == known.end()) {
      throw Failure(ExitCode::Usage, fmt::format("--set {}: a board has no such key{}", key, did_you_mean(top, known)));
    }
    set_toml_value(keys.table, key, value);
    keys.changed = true;
  }
}

void read_keys(Board& board, const fs::path& root, const fs::path& file, const BoardChoice& choice) {
  BoardKeys keys = board_keys_of(board, root, file);
  if (board.custom) {
    board.name = "custom";
    return;
  }
  apply_settings(keys, choice);
  TomlReader reader(keys.table, file.string());
  const std::optional<std::string> platform = reader.string("platform");
  const bool has_target = platform.has_value() || reader.string("target").has_value();
  if (!has_target) {
    throw Failure(ExitCode::Usage, fmt::format("{}: 'target' is missing", file.string()),
                  "./xtask defconfig BOARD writes a complete file; ./xtask vmconfig explain target says what it takes");
  }
  board.target = platform && !reader.string("target") ? target_of_platform(root, *platform, file)
                                                      : reader.required_string("target");
  board.to_bin = reader.boolean("to_bin").value_or(false);
  board.smp = reader.integer("smp");
  if (board.name.empty()) {
    board.name = "custom-" + board.arch();
  }
  if (keys.changed) {
    board.derived = fmt::format("{}{}\n{}", kBoardLine, board.name, format_toml(keys.table));
  }
}

/// The board that the file is for; empty where it is for none of configs/board.
std::string board_of_file(const fs::path& root, const std::string& content) {
  if (content.starts_with(kBoardLine)) {
    return content.substr(kBoardLine.size(), content.find('\n') - kBoardLine.size());
  }
  for (const std::string& name : board_names(root)) {
    if (read_file(board_file(root, name)) == content) {
      return name;
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> board_names(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::path& folder : config_folders(root)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder / "board", none)) {
      if (entry.path().extension() == ".toml") {
        names.push_back(entry.path().stem().string());
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

fs::path write_default_config(const fs::path& root, const std::string& board,
                              std::chrono::system_clock::time_point now) {
  const std::string content = read_file(known_board(root, board, board_file(root, board)));
  fs::path backup;
  if (fs::exists(user_file(root))) {
    backup = free_backup_name(root, now);
    fs::copy_file(user_file(root), backup);
  }
  write_file(user_file(root), fmt::format("{}{}\n{}", kBoardLine, board, content));
  return backup;
}

std::vector<std::string> board_keys() {
  std::vector<std::string> names;
  for (const config::Section& section : config::kBoardSchema.sections) {
    if (!section.name.empty()) {
      names.emplace_back(section.name);
    }
    for (const config::Key& key : section.keys) {
      names.emplace_back(key.name);
    }
  }
  return names;
}

Board current_board(const fs::path& root, const BoardChoice& choice) {
  Board board;
  const fs::path file = choice.build_config.empty() ? user_file(root) : choice.build_config;
  board.chosen = !choice.board.empty() || !choice.build_config.empty() || fs::exists(file);
  if (!choice.board.empty() || !board.chosen) {
    board.name = board.cmake_value = choice.board.empty() ? kDefaultBoard : choice.board;
    read_keys(board, root, known_board(root, board.name, board_file(root, board.name)), choice);
    return board;
  }
  if (!fs::is_regular_file(file)) {
    throw no_such_file("--build-config", file);
  }
  const std::string content = read_file(file);
  board.name = board_of_file(root, content);
  board.cmake_value = file.string();
  if (!board.name.empty()) {
    const fs::path original = known_board(root, board.name, board_file(root, board.name));
    const size_t body = content.starts_with(kBoardLine) ? content.find('\n') + 1 : 0;
    if (content.substr(body) == read_file(original)) {
      board.cmake_value = board.name;
    }
  }
  read_keys(board, root, file, choice);
  return board;
}

}  // namespace ax::xtask
