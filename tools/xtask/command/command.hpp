// The command line as a table: what a command is called, what it says of itself, which options it takes, and what it does.
// Help, suggestions and the reference page all come from here.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/failure.hpp"

namespace CLI {
class App;
}

namespace ax::xtask {

struct Example {
  std::string_view command;  ///< without "./xtask "
  std::string_view effect;
};

/// Runs after the whole command line was parsed.
using Handler = std::function<ExitCode(Context&)>;

struct Command {
  std::string_view name;
  std::string_view summary;      ///< one line, for the list of commands
  std::string_view description;  ///< more, for its own --help; may be empty
  std::span<const Example> examples;
  /// Declares the options on `app` and returns what uses them. Null, or returning null, for a group of subcommands that does
  /// nothing by itself.
  Handler (*declare)(CLI::App& app) = nullptr;
  std::span<const Command> children{};
  bool takes_rest = false;  ///< arguments after -- are for a program that it runs
};

/// Every command, in the order of the help page.
std::span<const Command> command_table();

/// Parses the arguments (without the program's name), runs the command, reports its failure. Returns the exit code.
int run_command_line(std::span<const std::string> arguments);

}  // namespace ax::xtask
