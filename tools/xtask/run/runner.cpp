#include "tools/xtask/run/runner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tools/xtask/run/recording.hpp"

namespace ax::xtask {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kReportedLines = 20;
constexpr char kLeavePrefix = '\x01';  // Ctrl-A

/// The user's terminal passes every key, Ctrl-C included, to the guest; restored at the end.
class RawTerminal {
 public:
  explicit RawTerminal(bool wanted) : active_(wanted && ::tcgetattr(STDIN_FILENO, &saved_) == 0) {
    if (active_) {
      termios raw = saved_;
      ::cfmakeraw(&raw);
      ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
  }
  ~RawTerminal() {
    if (active_) {
      ::tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
    }
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios saved_{};
  bool active_;
};

using LogFile = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

LogFile open_log(const std::filesystem::path& path) {
  LogFile log(path.empty() ? nullptr : std::fopen(path.c_str(), "we"), &std::fclose);
  if (!path.empty() && !log) {
    throw Failure(ExitCode::Usage, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  }
  return log;
}

/// One run: the loop over console, keyboard, signals and deadlines.
class Session {
 public:
  Session(Target& target, const ConsoleScript& script, const RunOptions& options)
      : target_(target),
        log_(open_log(options.log)),
        recording_(options.record.empty() ? nullptr : std::make_unique<Recording>(options.record, Clock::now())),
        terminal_(options.interactive && ::isatty(STDIN_FILENO) != 0),
        keyboard_(options.interactive ? STDIN_FILENO : -1),
        leave_by_key_(options.leave_by_key),
        judge_(script, Clock::now()) {}

  Verdict run() {
    while (!judge_.verdict()) {
      // Asked before the first wait: it may have ended before its end could become a signal here.
      if (const std::optional<int> status = target_.poll_status()) {
        while (read_console()) {
        }
        judge_.on_exit(*status, Clock::now());
        break;
      }
      wait();
      if (signals_.take() != 0) {
        std::fputs(within_line_ ? "\n" : "", stderr);  // the message that follows has a line of its own
        throw Failure(ExitCode::Interrupted, "interrupted");
      }
      if (left_) {
        judge_.on_exit(0, Clock::now());
        break;
      }
      judge_.tick(Clock::now());
      typed_ += judge_.take_input();
      type();
    }
    return *judge_.verdict();
  }

  std::string last_lines() const { return judge_.last_lines(kReportedLines); }

 private:
  void wait() {
    const short console_events = typed_.empty() ? POLLIN : POLLIN | POLLOUT;
    std::array<pollfd, 3> entries{{{signals_.fd(), POLLIN, 0},
                                   {console_open_ ? target_.console() : -1, console_events, 0},
                                   {keyboard_, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), timeout_ms());
    if ((entries[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      read_console();
    }
    if (entries[2].revents != 0) {
      read_keyboard();
    }
  }

  int timeout_ms() const {
    const std::optional<TimePoint> deadline = judge_.deadline();
    if (!deadline) {
      return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  /// False when there is nothing more at the moment.
  bool read_console() {
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(target_.console(), buffer.data(), buffer.size());
    if (size <= 0) {
      // A pseudo-terminal whose last user is gone reads as EIO; the target's end follows by SIGCHLD.
      console_open_ = size < 0 && (errno == EAGAIN || errno == EINTR);
      return false;
    }
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
    within_line_ = !bytes.ends_with('\n');
    if (log_) {
      std::fwrite(bytes.data(), 1, bytes.size(), log_.get());
      std::fflush(log_.get());  // whoever follows the log sees what the console shows
    }
    if (recording_) {
      recording_->output(bytes, Clock::now());
    }
    judge_.feed(bytes, Clock::now());
    return true;
  }

  void read_keyboard() {
    std::array<char, 1024> buffer;
    const ssize_t size = ::read(keyboard_, buffer.data(), buffer.size());
    if (size > 0) {
      take_keys({buffer.data(), static_cast<size_t>(size)});
    } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
      keyboard_ = -1;
    }
  }

  void take_keys(std::string_view keys) {
    for (const char key : keys) {
      if (leave_by_key_ && !prefixed_ && key == kLeavePrefix) {
        prefixed_ = true;
        continue;
      }
      left_ |= prefixed_ && key == 'x';
      prefixed_ = false;
      typed_ += key;
    }
  }

  void type() {
    if (!typed_.empty() && console_open_) {
      const ssize_t written = ::write(target_.console(), typed_.data(), typed_.size());
      if (written > 0) {
        typed_.erase(0, static_cast<size_t>(written));
      }
    }
  }

  Target& target_;
  SignalWatch signals_;
  LogFile log_;
  std::unique_ptr<Recording> recording_;
  RawTerminal terminal_;
  int keyboard_;
  bool leave_by_key_;
  bool prefixed_ = false;
  bool left_ = false;
  bool within_line_ = false;  ///< the console's last line is not finished
  ConsoleJudge judge_;
  std::string typed_;
  bool console_open_ = true;
};

}  // namespace

RunOutcome run_target(Target& target, const ConsoleScript& script, const RunOptions& options) {
  const Clock::time_point start = Clock::now();
  struct Stop {
    Target& target;
    ~Stop() { target.stop(); }
  } stop{target};
  Session session(target, script, options);
  RunOutcome outcome;
  outcome.verdict = session.run();
  outcome.seconds = Seconds(Clock::now() - start).count();
  outcome.last_lines = session.last_lines();
  outcome.trouble = target.trouble();
  return outcome;
}

ExitCode report_outcome(const Console& console, const ConsoleScript& script, const RunOutcome& outcome) {
  const bool success = outcome.verdict.kind == Verdict::Kind::Success;
  const std::string text = outcome.verdict.text();
  if (success && !script.expect_failure) {
    console.detail(fmt::format("{} after {:.1f} s", text, outcome.seconds));
    return ExitCode::Success;
  }
  if (!success && script.expect_failure && RE2::PartialMatch(text, script.fail_reason)) {
    console.step(fmt::format("failed as expected after {:.1f} s: {}", outcome.seconds, text));
    return ExitCode::Success;
  }
  std::fputs("\n", stderr);
  std::string message = fmt::format("run failed after {:.1f} s: {}", outcome.seconds, text);
  if (script.expect_failure) {
    message = success ? fmt::format("run succeeded but should have failed with /{}/", script.fail_reason)
                      : fmt::format("{}; it should have failed with /{}/", message, script.fail_reason);
  }
  console.error(message);
  std::fprintf(stderr, "the last %zu lines of the console:\n%s", kReportedLines, outcome.last_lines.c_str());
  if (!outcome.trouble.empty()) {
    std::fprintf(stderr, "what the emulator says:\n%s", outcome.trouble.c_str());
  }
  const bool late = outcome.verdict.kind == Verdict::Kind::Timeout;
  return late && !script.expect_failure ? ExitCode::Timeout : ExitCode::Failure;
}

}  // namespace ax::xtask
