#include "tools/xtask/image/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace ax::xtask {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::string_view kTakeAway = "\r\x1b[K";

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

size_t terminal_width() {
  constexpr size_t kUsual = 80;
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

std::string format_seconds(std::uint64_t seconds) { return fmt::format("{}:{:02}", seconds / 60, seconds % 60); }

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  constexpr double kStep = 1024;
  constexpr std::array kUnits{"KiB", "MiB", "GiB"};
  if (bytes < static_cast<std::uint64_t>(kStep)) {
    return fmt::format("{} B", bytes);
  }
  double value = static_cast<double>(bytes) / kStep;
  size_t unit = 0;
  for (; value >= kStep && unit + 1 < kUnits.size(); ++unit) {
    value /= kStep;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

ProgressLine::ProgressLine(const Console& console)
    : visible_(console.verbosity() != Verbosity::Quiet && ::isatty(STDERR_FILENO) != 0) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::clear() {
  if (drawn_) {
    put(kTakeAway);
    drawn_ = false;
  }
}

void ProgressLine::show(const std::string& what, std::uint64_t done, std::uint64_t total) {
  if (first_) {
    first_ = false;
    first_done_ = done;  // what a resumed download had is not this one's speed
  }
  const Clock::time_point now = Clock::now();
  if (!visible_ || now - drawn_at_ < kRedraw) {
    return;
  }
  drawn_at_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double speed = seconds > 0 && done > first_done_ ? static_cast<double>(done - first_done_) / seconds : 0;
  std::string line = what + ": " + format_bytes(done);
  if (total > 0) {
    line += fmt::format(" of {} ({}%)", format_bytes(total), done * 100 / total);
  }
  if (speed > 0) {
    line += fmt::format(", {}/s", format_bytes(static_cast<std::uint64_t>(speed)));
  }
  if (speed > 0 && total > done) {
    line += ", " + format_seconds(static_cast<std::uint64_t>(static_cast<double>(total - done) / speed)) + " left";
  }
  put(std::string(kTakeAway) + line.substr(0, terminal_width() - 1));
}

}  // namespace ax::xtask
