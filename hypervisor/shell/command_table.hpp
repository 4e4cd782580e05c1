// Commands as tables of rows: name, arguments, help, function. A part of the hypervisor that has something to say adds rows.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.hpp"

namespace hv {

using namespace ax;

/// What every command is given; whoever owns the table derives from it and hands over what its commands need.
class ShellEnvironment {
 public:
  /// Where answers go: whole lines.
  virtual Sink& out() = 0;

 protected:
  ~ShellEnvironment() = default;
};

/// The words behind a command's name. They are gone when the command returns.
using Arguments = std::span<const std::string_view>;

struct ShellCommand {
  static constexpr u8 kAnyNumber = 0xff;

  std::string_view name;
  std::string_view usage{};  ///< its arguments, for people
  std::string_view help{};   ///< what it does, one line
  /// Error::InvalidArgument shows the usage; other errors are printed. Nothing if the command only has subcommands.
  Result<void> (*run)(ShellEnvironment& environment, Arguments arguments) = nullptr;
  u8 fewest = 0;  ///< arguments
  u8 most = 0;
  std::span<const ShellCommand> subcommands{};
};

/// Carries out one line: words are separated by blanks, "quotes" keep blanks. `help`, `help COMMAND` and `COMMAND help` work
/// for every
/// table. What is wrong with a line is said on `environment.out()`, with a suggestion for a name that nearly exists.
void run_command(std::span<const ShellCommand> table, std::string_view line, ShellEnvironment& environment);

}  // namespace hv
