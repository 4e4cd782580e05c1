// What a guest has printed lately, for whoever turns to it later.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The newest kSize characters, by lines. Positions count characters from the first one on and stay valid. Not locked: the owner
/// serialises calls.
class OutputHistory {
 public:
  static constexpr usize kSize = 8 * 1024 - sizeof(u64);

  void put(char c) { text_[end_++ % kSize] = c; }

  /// Where the newest `lines` lines begin; an unfinished one counts.
  u64 start_of_last(usize lines) const {
    u64 at = end_;
    if (at != begin() && character(at - 1) == '\n') --at;
    for (; at != begin(); --at)
      if (character(at - 1) == '\n' && --lines == 0) break;
    return at;
  }

  /// The line at `position`, without its end and cut to `buffer`; `position` moves behind it. Nothing at the end.
  std::optional<std::string_view> next_line(u64& position, std::span<char> buffer) const {
    if (position < begin()) position = begin();
    if (position == end_) return std::nullopt;
    usize size = 0;
    while (position != end_) {
      const char c = character(position++);
      if (c == '\n') break;
      if (size != buffer.size()) buffer[size++] = c;
    }
    return std::string_view{buffer.data(), size};
  }

 private:
  u64 begin() const { return end_ > kSize ? end_ - kSize : 0; }
  char character(u64 position) const { return text_[position % kSize]; }

  std::array<char, kSize> text_{};
  u64 end_ = 0;  ///< characters ever put
};

}  // namespace hv
