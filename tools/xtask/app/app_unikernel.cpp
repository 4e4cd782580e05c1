#include "tools/xtask/app/app_unikernel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tools/app/unikernel.hpp"
#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// Adds names to the addresses of a back-trace, line by line; everything else passes at once.
class Symboliser {
 public:
  explicit Symboliser(fs::path elf) : elf_(std::move(elf)) {}

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
    const CapturedOutput found = capture_command({.argv = {"llvm-symbolizer-19", "--obj=" + elf_.string(), "--output-style=GNU", "--pretty-print",
                                                           "--no-inlines", "--basenames", fmt::format("{:#x}", *address)},
                                                  .console = ChildProcess::Console::Quiet});
    const std::string name = found.output.substr(0, found.output.find('\n'));
    return found.status == 0 && !name.starts_with("??") ? line.substr(0, line.size() - 1) + " " + name + "\n" : line;
  }

  fs::path elf_;
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
  if (application.os->arch == app::Arch::Riscv64) {
    throw Failure(ExitCode::Failure, "the unikernel does not run on riscv64-qemu-virt: its platform code is missing",
                  "choose aarch64-qemu-virt or x86_64-qemu-q35, or name a RuxOS source tree in RUXOS_DIR");
  }
  if (application.app) {
    throw Failure(ExitCode::Failure, "the unikernel cannot load ready-made programs ('app' in [build])",
                  "name a RuxOS source tree in RUXOS_DIR, or build the program from its sources");
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

int run_unikernel(const Context& context, const Argv& command, const fs::path& folder, const fs::path& elf) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  SignalWatch signals;
  ChildProcess machine({.argv = command, .folder = folder, .console = ChildProcess::Console::Capture, .input = "/dev/stdin"});
  const Foreground keyboard(machine.pid());
  app::UnikernelOutput console;
  Symboliser symboliser(elf);
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

MachineEnd read_console(std::string_view text, const fs::path& elf) {
  app::UnikernelOutput console;
  Symboliser symboliser(elf);
  MachineEnd end;
  end.output = symboliser.take(console.take(text));
  end.output += symboliser.take(console.finish()) + symboliser.finish();
  end.status = console.status();
  return end;
}

}  // namespace ax::xtask
