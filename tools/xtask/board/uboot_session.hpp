// The conversation with U-Boot on a serial line: stop its autoboot, type commands, see how they ended, send files.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tools/xtask/board/serial_line.hpp"
#include "tools/xtask/board/tftp_server.hpp"
#include "tools/xtask/core/console.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

using Patience = std::chrono::duration<double>;

/// Everything that the board says also goes to stdout. Every wait has an end; an ending signal throws Failure(Interrupted),
/// a line that goes away Failure(Failure).
class UbootSession {
 public:
  UbootSession(const Console& console, const SerialLine& line, std::filesystem::path device);

  /// Sends Ctrl-C until U-Boot's prompt answers. Throws Failure(Timeout) that tells silence, garbage and another program apart.
  void interrupt(Patience patience);
  const std::string& prompt() const { return prompt_; }

  struct Answer {
    bool good = false;   ///< U-Boot says that the command succeeded
    std::string output;  ///< without the echo of the command
  };
  /// Types a command and waits for its end. What is typed is compared with its echo before Enter; a garbled line is typed
  /// again. Throws Failure(Timeout) where no end comes, Failure(Failure) where the line stays garbled.
  Answer run(const std::string& command, Patience patience);
  /// As run(), and throws Failure(Failure) with its output where it failed.
  std::string require(const std::string& command, Patience patience);
  /// Types a command that does not come back.
  void start(const std::string& command);

  /// The value of a variable of U-Boot's environment; empty: unset.
  std::string variable(const std::string& name);

  /// `loady` at `address`, and the file. Returns false, with a warning, where the board does not take it.
  bool send_ymodem(const std::string& name, std::string_view content, std::uint64_t address, Patience patience);

  /// Is served while this waits.
  void attach(TftpServer* server) { server_ = server; }

 private:
  using Clock = std::chrono::steady_clock;

  /// Reads until `done` or the end of the time; returns whether `done`.
  bool wait(Clock::time_point deadline, const std::function<bool()>& done, Clock::duration tick = std::chrono::milliseconds(100));
  void receive();
  void send(std::string_view bytes);
  bool type(const std::string& text);
  void clear_line();
  std::string_view since(size_t mark) const { return std::string_view(text_).substr(mark); }
  [[noreturn]] void no_prompt(Patience patience) const;

  const Console& console_;
  const SerialLine& line_;
  std::filesystem::path device_;
  SignalWatch signals_;
  TftpServer* server_ = nullptr;
  std::string text_;  ///< everything received
  Clock::time_point last_byte_;
  std::string prompt_;
  std::uint32_t nonce_;
  unsigned commands_ = 0;
};

}  // namespace ax::xtask
