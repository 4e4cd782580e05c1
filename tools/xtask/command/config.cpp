#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

#include "tools/xtask/build/board.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/json.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> vm_names(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "configs/vms", none)) {
    if (entry.path().extension() == ".toml") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

struct Row {
  Board board;
  bool chosen = false;
};

std::vector<Row> board_rows(const fs::path& root) {
  const Board chosen = current_board(root);
  std::vector<Row> rows;
  for (const std::string& name : board_names(root)) {
    rows.push_back({current_board(root, {.board = name}), name == chosen.name});
  }
  return rows;
}

std::string as_json(const std::vector<Row>& rows, const std::vector<std::string>& vms) {
  std::string boards;
  for (const Row& row : rows) {
    boards += fmt::format("{}    {{\"name\": {}, \"target\": {}, \"to_bin\": {}, \"smp\": {}, \"chosen\": {}}}",
                          boards.empty() ? "" : ",\n", json_quote(row.board.name), json_quote(row.board.target), row.board.to_bin,
                          row.board.smp ? std::to_string(*row.board.smp) : "null", row.chosen);
  }
  return fmt::format("{{\n  \"boards\": [\n{}\n  ],\n  \"vms\": {}\n}}\n", boards, json_strings(vms));
}

std::string as_text(const std::vector<Row>& rows, const std::vector<std::string>& vms) {
  std::string text = "Boards (./xtask defconfig BOARD; * is chosen)\n";
  for (const Row& row : rows) {
    text += fmt::format("{} {:<18} {}{}\n", row.chosen ? '*' : ' ', row.board.name, row.board.target,
                        row.board.to_bin ? ", with a flat image" : "");
  }
  text += "Virtual machines (--vmconfigs NAME)\n";
  for (const std::string& name : vms) {
    text += "  " + name + "\n";
  }
  return text;
}

}  // namespace

Handler declare_config_list(CLI::App& app) {
  const auto json = std::make_shared<bool>(false);
  const auto names = std::make_shared<bool>(false);
  CLI::Option* as_names = app.add_flag("--names", *names, "Only the boards' names, one to a line");
  app.add_flag("--json", *json, "For programs")->excludes(as_names);
  return [json, names](Context& context) {
    if (*names) {
      print_out(fmt::format("{}\n", fmt::join(board_names(context.root), "\n")));
      return ExitCode::Success;
    }
    const std::vector<Row> rows = board_rows(context.root);
    const std::vector<std::string> vms = vm_names(context.root);
    print_out(*json ? as_json(rows, vms) : as_text(rows, vms));
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
