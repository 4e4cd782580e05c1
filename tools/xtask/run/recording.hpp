// A console session that can be played back with its timing: asciicast v2, as `asciinema play` and web players take it.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace ax::xtask {

class Recording {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Starts the file. Throws Failure(Usage) where it cannot be written.
  Recording(const std::filesystem::path& path, TimePoint start);

  /// What the console showed at `now`. A character that is cut off at the end is completed by the next call.
  void output(std::string_view bytes, TimePoint now);

 private:
  std::unique_ptr<std::FILE, decltype(&std::fclose)> file_;
  TimePoint start_;
  std::string rest_;
};

}  // namespace ax::xtask
