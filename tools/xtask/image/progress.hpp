// One line on the terminal that says how far a download is; nothing where stderr is no terminal, or with -q.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tools/xtask/core/console.hpp"

namespace ax::xtask {

/// "512 B", "1.5 KiB", "12.3 MiB".
std::string format_bytes(std::uint64_t bytes);

class ProgressLine {
 public:
  explicit ProgressLine(const Console& console);
  /// Takes the line away.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// `total` 0: not known. Redraws a few times a second, however often it is called.
  void show(const std::string& what, std::uint64_t done, std::uint64_t total);
  /// Takes the line away, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool visible_ = false;
  bool drawn_ = false;
  Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_at_{};
  std::uint64_t first_done_ = 0;
  bool first_ = true;
};

}  // namespace ax::xtask
