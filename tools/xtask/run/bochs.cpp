#include "tools/xtask/run/bochs.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <sstream>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// Skylake has all of VMX that Bochs emulates. Slow clocks are fast here: with many instructions a second of guest time, timers
/// would be late by the host's time. A triple fault and what Bochs calls a panic end it.
constexpr std::string_view kConfiguration = R"(romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
megs: {megabytes}
cpu: model={cpu}, count={cpus}, ips=4000000, reset_on_triple_fault=0
clock: sync=none
display_library: term
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
com1: enabled=1, mode=socket-client, dev=localhost:{port}
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
)";
constexpr std::string_view kDefaultCpu = "corei7_skylake_x";
constexpr std::uint64_t kDefaultMegabytes = 512;
// Debian's Bochs has its debugger compiled in and would wait at a prompt.
constexpr std::string_view kDebuggerCommands = "continue\nquit\n";
constexpr size_t kTroubleLines = 10;
constexpr const char* kInstallHint = "./xtask setup installs bochs, bochsbios, vgabios and bochs-term";

/// "512", "512M" or "2G", as QEMU's -m takes it.
std::uint64_t megabytes(const std::string& memory) {
  static const RE2 kMemory("([0-9]{1,6})([MG]?)");
  std::uint64_t number = kDefaultMegabytes;
  std::string unit;
  if (!memory.empty() && !RE2::FullMatch(memory, kMemory, &number, &unit)) {
    throw Failure(ExitCode::Usage, fmt::format("'memory': '{}' is not a number of megabytes (512M, 2G)", memory));
  }
  return unit == "G" ? number * 1024 : number;
}

class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address_);
    socklen_t size = sizeof address_;
    if (fd_ < 0 || ::bind(fd_, generic, size) != 0 || ::listen(fd_, 1) != 0 || ::getsockname(fd_, generic, &size) != 0) {
      throw Failure(ExitCode::Environment, fmt::format("no connection for Bochs's console: {}", std::strerror(errno)));
    }
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  std::uint16_t port() const { return ntohs(address_.sin_port); }

 private:
  int fd_;
  sockaddr_in address_{};
};

}  // namespace

bool is_bochs(const MachineSettings& machine) { return fs::path(machine.emulator).filename() == "bochs"; }

std::string bochs_configuration(const MachineSettings& machine, const fs::path& iso, std::uint16_t console_port,
                                const fs::path& log) {
  const std::array<std::pair<std::string_view, bool>, 3> foreign{
      {{"machine", !machine.machine.empty()}, {"gic_version", machine.gic_version.has_value()}, {"uefi", machine.uefi}}};
  for (const auto& [key, given] : foreign) {
    if (given) {
      throw Failure(ExitCode::Usage, fmt::format("'{}' has no meaning for Bochs", key));
    }
  }
  if (machine.kernel != KernelSource::Iso) {
    throw Failure(ExitCode::Usage, "Bochs boots from a CD only: kernel = \"iso\"");
  }
  std::string text = fmt::format(kConfiguration, fmt::arg("megabytes", megabytes(machine.memory)),
                                 fmt::arg("cpu", machine.cpu.empty() ? kDefaultCpu : std::string_view(machine.cpu)),
                                 fmt::arg("cpus", machine.smp.value_or(1)), fmt::arg("iso", iso.string()),
                                 fmt::arg("port", console_port), fmt::arg("log", log.string()));
  for (const std::string& line : machine.args) {
    text += line + "\n";
  }
  return text;
}

std::string bochs_trouble(const std::string& text) {
  static const RE2 kTrouble("(?:[0-9]+[ep])?\\[.*");
  std::deque<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) {
    if (RE2::FullMatch(line, kTrouble)) {
      lines.push_back(line);
    }
    if (lines.size() > kTroubleLines) {
      lines.pop_front();
    }
  }
  return lines.empty() ? "" : fmt::format("{}\n", fmt::join(lines, "\n"));
}

BochsTarget::BochsTarget(const MachineSettings& machine, const fs::path& iso) {
  if (!find_program(machine.emulator)) {
    throw Failure(ExitCode::Environment, machine.emulator + " is not here", kInstallHint);
  }
  const Socket listener;
  const fs::path configuration = folder_.path() / "bochsrc";
  const fs::path commands = folder_.path() / "commands";
  write_file(configuration, bochs_configuration(machine, iso, listener.port(), log()));
  write_file(commands, kDebuggerCommands);
  // What it prints before it has a log is kept by the shell.
  process_.emplace(ChildProcess::Options{
      .argv = {"/bin/sh", "-c", "exec \"$@\" 2>messages", "sh", machine.emulator, "-q", "-f", configuration.string(), "-rc",
               commands.string()},
      .folder = folder_.path(),
      .environment = {{"TERM", "vt100"}},  // for its screen, which goes nowhere
      .console = ChildProcess::Console::Null});
  connect(listener.fd());
}

void BochsTarget::connect(int listener) {
  constexpr int kPollMilliseconds = 50;
  constexpr int kDeadlineMilliseconds = 30'000;
  for (int waited = 0; waited < kDeadlineMilliseconds; waited += kPollMilliseconds) {
    pollfd entry{listener, POLLIN, 0};
    ::poll(&entry, 1, kPollMilliseconds);
    console_ = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (console_ >= 0) {
      return;
    }
    if (process_->poll_status()) {
      break;
    }
  }
  process_->terminate();
  throw Failure(ExitCode::Environment, "Bochs did not start",
                trouble().empty() ? kInstallHint : trouble());
}

BochsTarget::~BochsTarget() {
  if (console_ >= 0) {
    ::close(console_);
  }
}

std::string BochsTarget::trouble() const {
  std::string text;
  for (const fs::path& file : {messages(), log()}) {
    text += fs::exists(file) ? bochs_trouble(read_file(file)) : "";
  }
  return text;
}

}  // namespace ax::xtask
