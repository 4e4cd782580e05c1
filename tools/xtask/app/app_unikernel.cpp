#include "tools/xtask/app/app_unikernel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "tools/app/qemu.hpp"
#include "tools/app/unikernel.hpp"
#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// Adds names to the addresses of a back-trace, line by line; everything else passes at once.
class Symboliser {
 public:
  Symboliser(fs::path elf, const app::Application& application)
      : elf_(std::move(elf)), program_(application.app_on_disk ? fs::path() : application.app.value_or(fs::path())) {}

  std::string take(std::string_view text) {
    std::string out;
    for (const char c : text) {
      line_ += c;
      if (c == '\n') {
        out += named(std::exchange(line_, {}));
      } else if (!may_be_frame()) {
        out += std::exchange(line_, {});
        at_start_ = false;
      }
      at_start_ = at_start_ || c == '\n';
    }
    return out;
  }
  std::string finish() { return std::exchange(line_, {}); }

 private:
  bool may_be_frame() const {
    if (!at_start_) return false;
    for (const std::string_view begin : {"  #", "  called from "}) {
      if (line_.starts_with(begin.substr(0, line_.size()))) return true;
    }
    return false;
  }

  std::string named(const std::string& line) const {
    const auto address = at_start_ ? app::back_trace_address(line) : std::nullopt;
    if (!address || !find_program("llvm-symbolizer-19")) return line;
    const fs::path& file = address->in_program ? program_ : elf_;
    if (file.empty()) return line;
    const CapturedOutput found =
        capture_command({.argv = {"llvm-symbolizer-19", "--obj=" + file.string(), "--output-style=GNU", "--pretty-print",
                                  "--no-inlines", "--basenames", fmt::format("{:#x}", address->address)},
                         .console = ChildProcess::Console::Quiet});
    const std::string name = found.output.substr(0, found.output.find('\n'));
    return found.status == 0 && !name.starts_with("??") ? line.substr(0, line.size() - 1) + " " + name + "\n" : line;
  }

  fs::path elf_;
  fs::path program_;  ///< ready-made; empty: none whose names are known
  std::string line_;
  bool at_start_ = true;
};

void show(std::string_view text, bool terminal) {
  std::string out;
  for (const char c : text) {
    if (terminal && c == '\n') out += '\r';  // QEMU has made the terminal raw
    out += c;
  }
  for (std::string_view left = out; !left.empty();) {
    const ssize_t written = ::write(STDOUT_FILENO, left.data(), left.size());
    if (written <= 0) return;
    left.remove_prefix(static_cast<size_t>(written));
  }
}

/// While it lives, the keyboard is a child's.
class Foreground {
 public:
  explicit Foreground(pid_t child) : mine_(::isatty(STDIN_FILENO) != 0 ? ::tcgetpgrp(STDIN_FILENO) : -1) { give(child); }
  ~Foreground() { give(mine_); }
  Foreground(const Foreground&) = delete;
  Foreground& operator=(const Foreground&) = delete;

 private:
  void give(pid_t group) const {
    if (mine_ < 0) return;
    const auto before = ::signal(SIGTTOU, SIG_IGN);
    ::tcsetpgrp(STDIN_FILENO, group);
    ::signal(SIGTTOU, before);
  }
  pid_t mine_;
};

}  // namespace

void require_unikernel_services(const app::Application& application) {
  config::Diagnostics diagnostics;
  app::check_ready_made(application, diagnostics);
  if (!diagnostics.ok()) {
    const bool color = ::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    fmt::print(stderr, "{}", diagnostics.render(color));
    throw Failure(ExitCode::Usage, fmt::format("{} is not a program for this system", application.app->string()));
  }
  const std::vector<app::MissingService> for_cxx = app::missing_for_cxx(application);
  if (!for_cxx.empty()) {
    std::string text;
    for (const app::MissingService& entry : for_cxx) {
      text += fmt::format("{}'{}' ({})", text.empty() ? "" : " and ", entry.service, entry.what);
    }
    throw Failure(ExitCode::Failure, fmt::format("sources in C++ need services that the description does not name: {}", text),
                  "add them to 'services' in [os]");
  }
  const std::vector<app::MissingService> missing = app::missing_services(application);
  if (missing.empty()) return;
  std::string text;
  for (const app::MissingService& entry : missing) {
    text += fmt::format("{}'{}' needs {}", text.empty() ? "" : "; ", entry.service, entry.what);
  }
  throw Failure(ExitCode::Failure, fmt::format("the unikernel cannot offer every service of the description: {}", text),
                "remove the services, or name a RuxOS source tree in RUXOS_DIR");
}

int run_unikernel(const Context& context, const app::Application& application, const Argv& command, const fs::path& elf) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  SignalWatch signals;
  ChildProcess machine(
      {.argv = command, .folder = application.folder, .console = ChildProcess::Console::Capture, .input = "/dev/stdin"});
  const Foreground keyboard(machine.pid());
  app::UnikernelOutput console(app::firmware_speaks(application.os->arch));
  Symboliser symboliser(elf, application);
  std::optional<int> ended;
  for (bool open = true; open;) {
    std::array<pollfd, 2> entries{{{signals.fd(), POLLIN, 0}, {machine.output_fd(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    if (signals.take() != 0) throw Failure(ExitCode::Interrupted, "interrupted");
    if (entries[1].revents == 0) continue;
    std::array<char, 65536> buffer;
    const ssize_t size = ::read(machine.output_fd(), buffer.data(), buffer.size());
    open = size > 0;
    if (open) show(symboliser.take(console.take({buffer.data(), static_cast<size_t>(size)})), terminal);
  }
  while (!(ended = machine.poll_status())) ::poll(nullptr, 0, 1);
  show(symboliser.take(console.finish()) + symboliser.finish(), terminal);
  if (console.status()) return *console.status();
  context.console.error(fmt::format("the machine ended without the program's exit status (QEMU: {})", *ended));
  return static_cast<int>(ExitCode::Failure);
}

MachineEnd read_console(const app::Application& application, std::string_view text, const fs::path& elf) {
  app::UnikernelOutput console(app::firmware_speaks(application.os->arch));
  Symboliser symboliser(elf, application);
  MachineEnd end;
  end.output = symboliser.take(console.take(text));
  end.output += symboliser.take(console.finish()) + symboliser.finish();
  end.status = console.status();
  return end;
}

}  // namespace ax::xtask
