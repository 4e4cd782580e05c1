#include "tools/xtask/build/board.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/config/configuration.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
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

void read_keys(Board& board, const fs::path& root, const fs::path& file) {
  const TomlTable table = load_toml(file);
  TomlReader reader(table, file.string());
  const std::optional<std::string> platform = reader.string("platform");
  board.target = platform && !reader.string("target") ? target_of_platform(root, *platform, file)
                                                      : reader.required_string("target");
  board.to_bin = reader.boolean("to_bin").value_or(false);
  board.smp = reader.integer("smp");
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

Board current_board(const fs::path& root) {
  Board board;
  const fs::path file = user_file(root);
  board.chosen = fs::exists(file);
  if (!board.chosen) {
    board.name = board.cmake_value = kDefaultBoard;
    read_keys(board, root, known_board(root, board.name, board_file(root, board.name)));
    return board;
  }
  const std::string content = read_file(file);
  const size_t end = content.find('\n');
  if (!content.starts_with(kBoardLine) || end == std::string::npos) {
    throw Failure(ExitCode::Usage, fmt::format("{}: the first line must be '{}NAME'", file.string(), kBoardLine),
                  "./xtask defconfig BOARD writes the file anew and keeps a backup of this one");
  }
  board.name = content.substr(kBoardLine.size(), end - kBoardLine.size());
  const fs::path original = known_board(root, board.name, board_file(root, board.name));
  const bool edited = content.substr(end + 1) != read_file(original);
  board.cmake_value = edited ? file.string() : board.name;
  read_keys(board, root, edited ? file : original);
  return board;
}

}  // namespace ax::xtask
