// The shell on the physical console: reads lines, runs commands, prints their answers.
#pragma once

#include <array>

#include "hypervisor/shell/file_commands.hpp"
#include "hypervisor/shell/line_editor.hpp"

namespace hv {

class Hypervisor;

/// Runs on the manager's thread, so that commands find every VM in a settled state and need no lock. It is one of the console's
/// writers: what others print may come between two of its lines, never into one.
class Shell final : public FileShellEnvironment, private Sink {
 public:
  explicit Shell(Hypervisor& owner);

  /// It has the keyboard from now on: says so and prompts. Nothing happens if it had it.
  void open();
  /// Ends its line.
  void close();
  void type(char c);

  Sink& out() override { return *this; }
  FileSession& files() override { return files_; }
  Hypervisor& hypervisor;

 private:
  static constexpr std::string_view kPrompt = "axvisor";

  /// Collects a line of an answer.
  void write(std::string_view text) override;
  void show(std::string_view more);

  FileSession files_;
  LineEditor editor_;
  std::array<char, 160> answer_{};
  usize size_ = 0;
  bool open_ = false;
};

/// Every command there is; a part with commands of its own adds a row.
std::span<const ShellCommand> shell_commands();

}  // namespace hv
