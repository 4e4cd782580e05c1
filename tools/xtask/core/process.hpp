// Child processes. Every child leads a process group of its own, dies with xtask, and is gone - with everything it started -
// when its owner lets go of it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

using Argv = std::vector<std::string>;
/// Changes to the environment of a child: a value to set, or nothing to unset.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;

/// The command as a shell would take it, quoted where needed.
std::string format_command(const Argv& argv, const EnvironmentChanges& environment = {});

/// The program in PATH (or the path itself, if it has a slash and is executable).
std::optional<std::filesystem::path> find_program(const std::string& name);

/// While it lives, SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGCHLD arrive on a file descriptor instead of ending the process.
/// One at a time; single-threaded programs only.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// Readable when a signal is waiting.
  int fd() const { return fd_; }
  /// Empties the queue. Returns the first ending signal (not SIGCHLD), or 0.
  int take();

 private:
  int fd_ = -1;
};

/// One child and its process group.
class ChildProcess {
 public:
  enum class Console {
    Inherit,  ///< stdin empty, shares xtask's stdout and stderr; Ctrl-C reaches xtask, which ends the child
    Stderr,   ///< stdin empty, stdout and stderr both into xtask's stderr: xtask's stdout is for data
    Capture,  ///< stdin empty, stdout into output_fd(), stderr shared
    Errors,   ///< stdin empty, stdout shared, stderr into output_fd()
    Quiet,    ///< as Capture, stderr thrown away
    Null,     ///< stdin empty, stdout and stderr thrown away
    Pty,      ///< a session of its own on a new raw pseudo-terminal, output_fd() is its other end
  };
  struct Options {
    Argv argv;
    std::filesystem::path folder{};  ///< empty: the current one
    EnvironmentChanges environment{};
    Console console = Console::Inherit;
    std::filesystem::path input{};  ///< what stdin is instead of empty; not with Pty
  };

  /// Starts it. Throws Failure(Environment) when the program cannot be executed.
  explicit ChildProcess(const Options& options);
  /// Ends the whole group if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// Capture, Errors: a pipe; Pty: the master side, non-blocking, readable and writable. Else -1.
  int output_fd() const { return output_fd_; }

  /// The exit status if it has ended: 0..255, or 128 + signal. What is left of its group then is killed.
  std::optional<int> poll_status();
  /// SIGTERM to the group, after `grace` SIGKILL; reaps the child and kills what it left behind. Idempotent.
  void terminate(std::chrono::milliseconds grace = std::chrono::milliseconds(2000));

 private:
  void reap();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  std::optional<int> status_;
};

/// Runs a child to its end and returns its status. An ending signal to xtask ends the child and throws
/// Failure(Interrupted).
int run_command(const ChildProcess::Options& options);

/// The same, and each line that the child writes to stderr goes to `take_line`, with its end of line if it has one.
int run_command(ChildProcess::Options options, const std::function<void(std::string_view)>& take_line);

struct CapturedOutput {
  int status = 0;
  std::string output;
};
CapturedOutput capture_command(ChildProcess::Options options);

/// Orphaned descendants become children of this process, so that terminate() finds them. Call once, early.
void adopt_orphans();

}  // namespace ax::xtask
