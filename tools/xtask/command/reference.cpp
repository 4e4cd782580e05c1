// docs/xtask.md: the command table as a page.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/xtask/command/commands.hpp"

namespace ax::xtask {
namespace {

constexpr std::string_view kIntroduction = R"(# The command line

Generated from the command table by `./xtask help --markdown`; a test compares the two. `./xtask COMMAND --help` says the same.

Messages go to stderr, data to stdout; what `--json` prints is for programs. Colour and questions appear on a terminal only
(`NO_COLOR` is obeyed). Ctrl-C ends everything that was started. Misspelt commands, options, files and values are answered with a
suggestion.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the build, a test, a check or a run failed; two compared files differ |
| 2 | wrong command, option, file or value |
| 3 | an emulator did not get done in its time |
| 4 | a tool, a package or the network is missing |
| 77 | a run was skipped: an image that it needs could not be had |
| 130 | interrupted |

)";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '|' ? "\\|" : std::string(1, c);
  }
  return out;
}

std::string option_row(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const bool flag = option.get_expected_max() == 0;
  const std::string name = option.get_positional() ? option.get_name(true, false) : option.get_name(false, true);
  return fmt::format("| `{}{}` | {} |\n", escaped(name), flag || type.empty() ? "" : " " + escaped(type),
                     escaped(option.get_description()));
}

std::string option_table(const CLI::App& app) {
  std::string rows;
  for (const CLI::Option* option : app.get_options()) {
    if (option != app.get_help_ptr()) {
      rows += option_row(*option);
    }
  }
  return rows.empty() ? "" : "| option | meaning |\n|---|---|\n" + rows + "\n";
}

std::string section(const Command& command, const CLI::App& app, const std::string& path, unsigned depth) {
  const std::string name = path.empty() ? std::string(command.name) : path + " " + std::string(command.name);
  std::string text = fmt::format("{} {}\n\n{}.\n\n", std::string(depth, '#'), name, command.summary);
  if (!command.description.empty()) {
    text += fmt::format("{}\n\n", command.description);
  }
  text += option_table(app);
  if (!command.examples.empty()) {
    text += "```sh\n";
    for (const Example& example : command.examples) {
      text += fmt::format("./xtask {}  # {}\n", example.command, example.effect);
    }
    text += "```\n\n";
  }
  for (const Command& child : command.children) {
    text += section(child, *app.get_subcommand(std::string(child.name)), name, depth + 1);
  }
  return text;
}

}  // namespace

std::string reference_page(const CLI::App& root) {
  std::string text(kIntroduction);
  text += "Options of every command:\n\n" + option_table(root);
  for (const Command& command : command_table()) {
    text += section(command, *root.get_subcommand(std::string(command.name)), "", 2);
  }
  text.pop_back();
  return text;
}

}  // namespace ax::xtask
