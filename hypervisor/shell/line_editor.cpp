#include "hypervisor/shell/line_editor.hpp"

#include <algorithm>

namespace hv {
namespace {

constexpr char ctrl(char letter) { return static_cast<char>(letter & 0x1f); }
constexpr char kEscape = '\x1b';
constexpr char kDelete = '\x7f';

}  // namespace

LineEditor::Outcome LineEditor::type(char c) {
  switch (state_) {
    case State::Escape:
      state_ = c == '[' || c == 'O' ? State::Sequence : State::Plain;
      parameter_ = 0;
      return Outcome::Nothing;
    case State::Sequence: return sequence(c);
    case State::Plain: break;
  }
  const auto code = static_cast<unsigned char>(c);
  return code < ' ' || c == kDelete ? control(c) : insert(c);
}

LineEditor::Outcome LineEditor::control(char c) {
  switch (c) {
    case kEscape: state_ = State::Escape; return Outcome::Nothing;
    case '\r':
    case '\n': remember(); return Outcome::Submitted;
    case ctrl('C'): return Outcome::Abandoned;
    case '\b':
    case kDelete: return cursor_ == 0 ? Outcome::Nothing : erase(cursor_ - 1, cursor_);
    case ctrl('U'): return erase(0, cursor_);
    case ctrl('A'): return move(0);
    case ctrl('E'): return move(line_.size());
    default: return Outcome::Nothing;
  }
}

// CSI sequences of ECMA-48, as terminals send them for keys.
LineEditor::Outcome LineEditor::sequence(char c) {
  if (c >= '0' && c <= '?') {  // parameter bytes
    parameter_ = c;
    return Outcome::Nothing;
  }
  state_ = State::Plain;
  switch (c) {
    case 'A': return recall(back_ + 1);
    case 'B': return back_ == 0 ? Outcome::Nothing : recall(back_ - 1);
    case 'C': return move(cursor_ + 1);
    case 'D': return cursor_ == 0 ? Outcome::Nothing : move(cursor_ - 1);
    case 'H': return move(0);
    case 'F': return move(line_.size());
    case '~': return parameter_ == '3' ? erase(cursor_, cursor_ + 1) : Outcome::Nothing;
    default: return Outcome::Nothing;
  }
}

LineEditor::Outcome LineEditor::insert(char c) {
  if (!line_.push_back(c)) return Outcome::Nothing;
  const bool at_end = ++cursor_ == line_.size();
  std::rotate(line_.begin() + cursor_ - 1, line_.end() - 1, line_.end());
  return at_end ? Outcome::Appended : Outcome::Changed;
}

LineEditor::Outcome LineEditor::erase(usize first, usize last) {
  if (last > line_.size() || first == last) return Outcome::Nothing;
  for (usize i = first; i < last; ++i) line_.erase(first);
  cursor_ = first;
  return Outcome::Changed;
}

LineEditor::Outcome LineEditor::move(usize cursor) {
  if (cursor > line_.size()) return Outcome::Nothing;
  cursor_ = cursor;
  return Outcome::Changed;
}

LineEditor::Outcome LineEditor::recall(usize back) {
  if (back > known_) return Outcome::Nothing;
  back_ = back;
  line_ = back == 0 ? Line{} : history_[back - 1];
  cursor_ = line_.size();
  return Outcome::Changed;
}

void LineEditor::remember() {
  if (line_.empty() || (known_ != 0 && std::ranges::equal(line_, history_[0]))) return;
  std::shift_right(history_.begin(), history_.end(), 1);
  history_[0] = line_;
  known_ = std::min(known_ + 1, kHistory);
}

void LineEditor::next() {
  line_.clear();
  cursor_ = back_ = 0;
}

void LineEditor::show(Sink& terminal, std::string_view prompt) const {
  print(terminal, "\r{}{}\x1b[K", prompt, line());
  if (const usize behind = line_.size() - cursor_; behind != 0) print(terminal, "\x1b[{}D", behind);
}

}  // namespace hv
