// The text of a console as a person sees it: a byte stream without ANSI escape sequences and with plain line ends.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ax::xtask {

/// Collects a console's bytes. Escape sequences (CSI, OSC, two-byte) vanish, "\r\n" becomes "\n"; a sequence that is cut by
/// the end of the input so far waits for its rest. Only the last kKept characters are kept, positions stay valid.
class ConsoleText {
 public:
  static constexpr size_t kKept = 256 * 1024;

  /// Plain: keeps escape sequences too (only line ends are changed).
  enum class Escapes { Strip, Keep };
  explicit ConsoleText(Escapes escapes = Escapes::Strip) : escapes_(escapes) {}

  void append(std::string_view bytes);

  /// Number of characters so far: a position for everything that comes later.
  size_t end() const { return dropped_ + text_.size(); }
  /// The text from `position` on, or from the oldest character kept.
  std::string_view from(size_t position) const;
  /// All that is kept: the context in which `^` and `\b` are judged.
  std::string_view kept() const { return text_; }
  size_t kept_start() const { return dropped_; }
  /// Where the line that contains `position` starts.
  size_t line_start(size_t position) const;
  /// The last `count` lines that are not empty.
  std::string last_lines(size_t count) const;

 private:
  enum class State { Text, CarriageReturn, Escape, Csi, String, StringEscape };
  void put(char c);

  Escapes escapes_;
  State state_ = State::Text;
  std::string text_;
  size_t dropped_ = 0;
};

}  // namespace ax::xtask
