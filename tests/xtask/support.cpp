#include "tests/xtask/support.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <array>
#include <csignal>
#include <cstdlib>

namespace ax::xtask::test {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{10};

int milliseconds_left(Clock::time_point deadline) {
  return static_cast<int>(std::max<std::int64_t>(
      0, std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count()));
}

}  // namespace

ScopedEnvironment::ScopedEnvironment(std::string name, std::optional<std::string> value) : name_(std::move(name)) {
  if (const char* old = std::getenv(name_.c_str())) {
    saved_ = old;
  }
  value ? ::setenv(name_.c_str(), value->c_str(), 1) : ::unsetenv(name_.c_str());
}

ScopedEnvironment::~ScopedEnvironment() {
  saved_ ? ::setenv(name_.c_str(), saved_->c_str(), 1) : ::unsetenv(name_.c_str());
}

void write_script(const fs::path& path, std::string_view body) {
  write_file(path, "#!/bin/sh\n" + std::string(body));
  fs::permissions(path, fs::perms::owner_all);
}

Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure;
  }
  ADD_FAILURE() << "no Failure was thrown";
  return {ExitCode::Success, ""};
}

bool is_gone(pid_t pid) {
  // A process that is no child of ours has no file descriptor to wait on in every kernel: ask again until the deadline.
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (::kill(pid, 0) == 0 && Clock::now() < deadline) {
    ::poll(nullptr, 0, 5);
  }
  return ::kill(pid, 0) != 0;
}

TerminalProgram::TerminalProgram(const Argv& argv, const EnvironmentChanges& environment) {
  if (::openpty(&master_, &slave_, nullptr, nullptr, nullptr) != 0) {
    ADD_FAILURE() << "no pseudo-terminal";
    return;
  }
  ::fcntl(master_, F_SETFD, FD_CLOEXEC);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::login_tty(slave_);
    for (const auto& [name, value] : environment) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
    std::vector<char*> words;
    for (const std::string& word : argv) {
      words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
}

TerminalProgram::~TerminalProgram() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(master_);
  ::close(slave_);
}

bool TerminalProgram::read_some() {
  std::array<char, 4096> buffer;
  const ssize_t size = ::read(master_, buffer.data(), buffer.size());
  if (size > 0) {
    output_.append(buffer.data(), static_cast<size_t>(size));
  }
  return size > 0;
}

bool TerminalProgram::wait_for(std::string_view text) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (output_.find(text) == std::string::npos) {
    pollfd entry{master_, POLLIN, 0};
    if (::poll(&entry, 1, milliseconds_left(deadline)) <= 0 || !read_some()) {
      return false;
    }
  }
  return true;
}

void TerminalProgram::type(std::string_view text) {
  EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

int TerminalProgram::finish() {
  const Clock::time_point deadline = Clock::now() + kPatience;
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(pid_, &status, WNOHANG)) == 0 && Clock::now() < deadline) {
    pollfd entry{master_, POLLIN, 0};
    if (::poll(&entry, 1, 20) > 0) {
      read_some();
    }
  }
  for (pollfd entry{master_, POLLIN, 0}; ::poll(&entry, 1, 0) > 0 && read_some();) {
  }
  if (ended != pid_) {
    ADD_FAILURE() << "the program did not end:\n" << output_;
    return -1;
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool TerminalProgram::terminal_is_cooked() const {
  termios settings{};
  ::tcgetattr(slave_, &settings);
  return (settings.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG);
}

ProgramResult run_program(const Argv& argv, const EnvironmentChanges& environment, const fs::path& folder) {
  Argv merged{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"};
  merged.insert(merged.end(), argv.begin(), argv.end());
  const CapturedOutput result = capture_command({.argv = merged, .folder = folder, .environment = environment});
  return {result.status, result.output};
}

ScratchTree::ScratchTree() {
  write("cmake/packages.txt", "# nothing\n");
  write("CMakePresets.json", R"({"configurePresets": [{"name": "host"}, {"name": "qemu-aarch64"}]})");
  write("configs/board/qemu-aarch64.toml", "target = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n");
  write("configs/qemu/qemu-aarch64.toml", "args = [\"-nographic\"]\nto_bin = true\n");
  fs::create_directories(programs());
}

ProgramResult ScratchTree::xtask(const std::vector<std::string>& arguments, EnvironmentChanges environment) const {
  environment["AXVISOR_ROOT"] = root().string();
  for (const char* name : {"AXVISOR_VM_CONFIGS", "AXVISOR_SMP", "AXVISOR_CONFIG_PATH", "CC", "CXX"}) {
    environment.emplace(name, std::nullopt);
  }
  Argv argv{XTASK_PROGRAM};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv, environment, root());
}

}  // namespace ax::xtask::test
