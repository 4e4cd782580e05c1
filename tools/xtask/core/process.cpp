#include "tools/xtask/core/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::array kEndingSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr int kSignalStatusBase = 128;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : kEndingSignals) {
    sigaddset(&set, signal);
  }
  return set;
}

[[noreturn]] void fail_with_errno(const std::string& what) {
  throw Failure(ExitCode::Environment, what + ": " + std::strerror(errno));
}

int decode_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalStatusBase + WTERMSIG(status);
}

/// Children of this process, zombies included.
std::vector<pid_t> own_children() {
  std::vector<pid_t> children;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    if (pid <= 0 || !std::getline(stat, line)) {
      continue;
    }
    // pid (name) state ppid ...: the name may hold spaces and brackets.
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    char state = 0;
    pid_t parent = 0;
    if (rest >> state >> parent && parent == ::getpid()) {
      children.push_back(pid);
    }
  }
  return children;
}

/// What a dead child left behind and this process adopted. Repeats because killing one may orphan the next.
void kill_adopted() {
  int adopting = 0;
  if (::prctl(PR_GET_CHILD_SUBREAPER, &adopting) != 0 || adopting == 0) {
    return;
  }
  for (std::vector<pid_t> children = own_children(); !children.empty(); children = own_children()) {
    for (const pid_t child : children) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
}

struct ChildFiles {
  int standard_input = -1;
  int standard_output = -1;
  int standard_error = -1;
  bool controlling_terminal = false;
};

/// Runs in the child, between fork and exec.
[[noreturn]] void become(const ChildProcess::Options& options, const ChildFiles& files, pid_t parent, int error_pipe) {
  files.controlling_terminal ? static_cast<void>(::setsid()) : static_cast<void>(::setpgid(0, 0));
  ::prctl(PR_SET_PDEATHSIG, files.controlling_terminal ? SIGKILL : SIGTERM);
  if (::getppid() != parent) {
    ::_exit(kSignalStatusBase + SIGKILL);
  }
  const std::array<std::pair<int, int>, 3> redirections{{{files.standard_input, STDIN_FILENO},
                                                         {files.standard_output, STDOUT_FILENO},
                                                         {files.standard_error, STDERR_FILENO}}};
  for (const auto& [from, to] : redirections) {
    if (from >= 0) {
      ::dup2(from, to);
    }
  }
  if (files.controlling_terminal) {
    ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const auto& [name, value] : options.environment) {
    value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }
  std::vector<char*> argv;
  for (const std::string& argument : options.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  if (options.folder.empty() || ::chdir(options.folder.c_str()) == 0) {
    ::execvp(argv[0], argv.data());
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(error_pipe, &error, sizeof error);
  ::_exit(kSignalStatusBase - 1);
}

struct Pty {
  int master = -1;
  int slave = -1;
};

/// Raw, so that bytes pass both ways as they are.
Pty open_pty() {
  Pty pty;
  pty.master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  std::array<char, 64> name{};
  if (pty.master < 0 || ::grantpt(pty.master) != 0 || ::unlockpt(pty.master) != 0 ||
      ::ptsname_r(pty.master, name.data(), name.size()) != 0) {
    fail_with_errno("cannot open a pseudo-terminal");
  }
  pty.slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (pty.slave < 0) {
    fail_with_errno("cannot open a pseudo-terminal");
  }
  termios settings{};
  ::tcgetattr(pty.slave, &settings);
  ::cfmakeraw(&settings);
  settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
  ::tcsetattr(pty.slave, TCSANOW, &settings);
  return pty;
}

void close_if_open(int fd) {
  if (fd >= 0) {
    ::close(fd);
  }
}

bool plain_word(const std::string& word) {
  static constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  return !word.empty() && word.find_first_not_of(kSafe) == std::string::npos;
}

std::string shell_quote(const std::string& word) {
  if (plain_word(word)) {
    return word;
  }
  std::string quoted = "'";
  for (const char c : word) {
    c == '\'' ? quoted.append("'\\''") : quoted.append(1, c);
  }
  return quoted + "'";
}

/// Reads what is there into `sink`. False at the end of the stream.
using TakeOutput = std::function<void(std::string_view)>;

bool drain(int fd, const TakeOutput& take) {
  std::array<char, 65536> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size > 0) {
    take({buffer.data(), static_cast<size_t>(size)});
  }
  return size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN));
}

[[noreturn]] void interrupted() { throw Failure(ExitCode::Interrupted, "interrupted"); }

/// Waits for the end of `child`, giving away its captured output.
int wait_for(ChildProcess& child, SignalWatch& signals, const TakeOutput& take) {
  bool open = child.output_fd() >= 0;
  while (true) {
    if (const std::optional<int> status = child.poll_status()) {
      while (open && drain(child.output_fd(), take)) {
      }
      return *status;
    }
    std::array<pollfd, 2> entries{{{signals.fd(), POLLIN, 0}, {open ? child.output_fd() : -1, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    if (signals.take() != 0) {
      child.terminate();
      interrupted();
    }
    if (entries[1].revents != 0) {
      open = drain(child.output_fd(), take);
    }
  }
}

}  // namespace

std::string format_command(const Argv& argv, const EnvironmentChanges& environment) {
  std::string text;
  for (const auto& [name, value] : environment) {
    text += value ? name + "=" + shell_quote(*value) + " " : "";
  }
  std::string unset;
  for (const auto& [name, value] : environment) {
    unset += value ? "" : "-u " + name + " ";
  }
  text = unset.empty() ? text : "env " + unset + text;
  for (const std::string& word : argv) {
    text += shell_quote(word) + " ";
  }
  text.pop_back();
  return text;
}

std::optional<fs::path> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return ::access(name.c_str(), X_OK) == 0 ? std::optional<fs::path>(name) : std::nullopt;
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / name;
    if (::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate)) {
      return candidate;
    }
  }
  return std::nullopt;
}

SignalWatch::SignalWatch() {
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0) {
    fail_with_errno("signalfd");
  }
}

SignalWatch::~SignalWatch() {
  const int missed = take();
  ::close(fd_);
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  if (missed != 0) {
    ::raise(missed);
  }
}

int SignalWatch::take() {
  int ending = 0;
  signalfd_siginfo info{};
  while (::read(fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD && ending == 0) {
      ending = static_cast<int>(info.ssi_signo);
    }
  }
  return ending;
}

ChildProcess::ChildProcess(const Options& options) {
  ChildFiles files;
  std::array<int, 2> error_pipe{-1, -1};
  std::array<int, 2> capture{-1, -1};
  const bool errors = options.console == Console::Errors;
  const bool captured = options.console == Console::Capture || options.console == Console::Quiet || errors;
  if (::pipe2(error_pipe.data(), O_CLOEXEC) != 0 || (captured && ::pipe2(capture.data(), O_CLOEXEC) != 0)) {
    fail_with_errno("cannot create a pipe");
  }
  int null = -1;
  int input = -1;
  if (options.console == Console::Pty) {
    const Pty pty = open_pty();
    output_fd_ = pty.master;
    files = {pty.slave, pty.slave, pty.slave, true};
  } else {
    null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    input = options.input.empty() ? -1 : ::open(options.input.c_str(), O_RDONLY | O_CLOEXEC);
    output_fd_ = capture[0];
    files.standard_input = options.input.empty() ? null : input;
    if (errors) {
      files.standard_error = capture[1];
    } else if (captured) {
      files.standard_output = capture[1];
    } else if (options.console != Console::Inherit) {
      files.standard_output = options.console == Console::Null ? null : STDERR_FILENO;
    }
    if (options.console == Console::Null || options.console == Console::Quiet) {
      files.standard_error = null;
    }
  }
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become(options, files, parent, error_pipe[1]);
  }
  const int fork_error = errno;
  for (const int fd : {error_pipe[1], capture[1], null, input, options.console == Console::Pty ? files.standard_input : -1}) {
    close_if_open(fd);
  }
  int error = pid_ < 0 ? fork_error : 0;
  if (pid_ > 0) {
    // The pipe closes at exec: nothing to read means that the program runs.
    while (::read(error_pipe[0], &error, sizeof error) < 0 && errno == EINTR) {
    }
  }
  ::close(error_pipe[0]);
  if (error != 0) {
    terminate();
    close_if_open(output_fd_);
    throw Failure(ExitCode::Environment, "cannot run " + options.argv[0] + ": " + std::strerror(error));
  }
}

ChildProcess::~ChildProcess() {
  terminate();
  close_if_open(output_fd_);
}

std::optional<int> ChildProcess::poll_status() {
  siginfo_t ended{};
  if (!status_ && pid_ > 0 && ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      ended.si_pid == pid_) {
    reap();
  }
  return status_;
}

/// The group goes before its leader's process id does: until then the id cannot belong to anybody else.
void ChildProcess::reap() {
  ::kill(-pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  status_ = decode_status(status);
}

void ChildProcess::terminate(std::chrono::milliseconds grace) {
  if (pid_ <= 0) {
    return;
  }
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + grace;
  if (!poll_status()) {
    ::kill(-pid_, SIGTERM);
    ::kill(-pid_, SIGCONT);
  }
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigset_t previous;
  ::sigprocmask(SIG_BLOCK, &child_signal, &previous);
  while (!poll_status() && Clock::now() < deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    ::sigtimedwait(&child_signal, nullptr, &timeout);
  }
  ::sigprocmask(SIG_SETMASK, &previous, nullptr);
  if (!status_) {
    reap();
  }
  kill_adopted();
  pid_ = -1;
}

int run_command(const ChildProcess::Options& options) {
  SignalWatch signals;
  ChildProcess child(options);
  return wait_for(child, signals, {});
}

int run_command(ChildProcess::Options options, const std::function<void(std::string_view)>& take_line) {
  options.console = ChildProcess::Console::Errors;
  SignalWatch signals;
  ChildProcess child(options);
  std::string rest;
  const int status = wait_for(child, signals, [&](std::string_view text) {
    rest += text;
    size_t begin = 0;
    for (size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      take_line(std::string_view(rest).substr(begin, end + 1 - begin));
    }
    rest.erase(0, begin);
  });
  if (!rest.empty()) {
    take_line(rest);
  }
  return status;
}

CapturedOutput capture_command(ChildProcess::Options options) {
  if (options.console != ChildProcess::Console::Quiet) {
    options.console = ChildProcess::Console::Capture;
  }
  SignalWatch signals;
  ChildProcess child(options);
  CapturedOutput result;
  result.status = wait_for(child, signals, [&](std::string_view text) { result.output += text; });
  return result;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

}  // namespace ax::xtask
