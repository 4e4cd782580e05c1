// One line of input, as it is typed and edited on a terminal.
#pragma once

#include <array>
#include <string_view>

#include "kernel/base/format.hpp"
#include "kernel/base/static_vector.hpp"

namespace hv {

using namespace ax;

/// Keys: printable characters, Backspace, Delete, arrows, Home and End (Ctrl-A, Ctrl-E), Ctrl-U (erases what is before the
/// cursor),
/// Ctrl-C (gives the line up), Enter; arrows up and down go through the last kHistory lines. Anything else is ignored, and so
/// is
/// what does not fit. Not locked: the owner serialises calls.
class LineEditor {
 public:
  static constexpr usize kMaxLine = 160;
  static constexpr usize kHistory = 8;

  enum class Outcome : u8 {
    Nothing,
    Appended,   ///< exactly the character that was typed, at the end: echoing it shows the new state
    Changed,    ///< the line must be shown again
    Submitted,  ///< line() is complete; next() begins another one
    Abandoned,  ///< the same, and it is to be forgotten
  };
  Outcome type(char c);

  std::string_view line() const { return {line_.begin(), line_.size()}; }
  /// Empties the line, after Submitted or Abandoned.
  void next();
  /// Shows prompt and line from the first column on, and puts the cursor where it is in the line.
  void show(Sink& terminal, std::string_view prompt) const;

 private:
  using Line = StaticVector<char, kMaxLine>;
  enum class State : u8 { Plain, Escape, Sequence };

  Outcome control(char c);
  Outcome sequence(char c);
  Outcome insert(char c);
  Outcome erase(usize first, usize last);
  Outcome move(usize cursor);
  Outcome recall(usize back);
  void remember();

  Line line_{};
  usize cursor_ = 0;
  std::array<Line, kHistory> history_{};  ///< newest first
  usize known_ = 0;                       ///< lines in it
  usize back_ = 0;                        ///< which of them is shown, from 1 on; 0: a new one
  State state_ = State::Plain;
  char parameter_ = 0;  ///< of an escape sequence
};

}  // namespace hv
