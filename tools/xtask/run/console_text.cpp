#include "tools/xtask/run/console_text.hpp"

#include <algorithm>
#include <vector>

namespace ax::xtask {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kBell = '\a';

/// ECMA-48: the byte that ends a control sequence.
bool ends_csi(char c) { return c >= 0x40 && c <= 0x7e; }

}  // namespace

void ConsoleText::put(char c) {
  switch (state_) {
    case State::CarriageReturn:
      // "\r\r\n" is what two layers of line-end translation make of one "\n". At the start of a line it moves nothing: UEFI's
      // console writes "\n\r".
      if (c != '\r') {
        state_ = State::Text;
        if (c != '\n' && !text_.empty() && text_.back() != '\n') {
          text_ += '\r';
        }
        put(c);
      }
      return;
    case State::Text:
      if (c == '\r') {
        state_ = State::CarriageReturn;
      } else if (c == kEscape && escapes_ == Escapes::Strip) {
        state_ = State::Escape;
      } else if (c != '\0') {
        text_ += c;
      }
      return;
    case State::Escape:
      state_ = c == '[' ? State::Csi : c == ']' || c == 'P' || c == '_' ? State::String : State::Text;
      return;
    case State::Csi:
      state_ = ends_csi(c) ? State::Text : State::Csi;
      return;
    case State::String:
      state_ = c == kBell ? State::Text : c == kEscape ? State::StringEscape : State::String;
      return;
    case State::StringEscape:
      state_ = State::Text;
      return;
  }
}

void ConsoleText::append(std::string_view bytes) {
  for (const char c : bytes) {
    put(c);
  }
  if (text_.size() > 2 * kKept) {
    const size_t surplus = text_.size() - kKept;
    text_.erase(0, surplus);
    dropped_ += surplus;
  }
}

std::string_view ConsoleText::from(size_t position) const {
  const size_t offset = position > dropped_ ? position - dropped_ : 0;
  return std::string_view(text_).substr(std::min(offset, text_.size()));
}

size_t ConsoleText::line_start(size_t position) const {
  if (position <= dropped_) {
    return dropped_;
  }
  const size_t newline = std::string_view(text_).substr(0, position - dropped_).rfind('\n');
  return dropped_ + (newline == std::string_view::npos ? 0 : newline + 1);
}

std::string ConsoleText::last_lines(size_t count) const {
  std::vector<std::string_view> lines;
  std::string_view rest = text_;
  while (!rest.empty() && lines.size() < count) {
    const size_t newline = rest.rfind('\n');
    const std::string_view line = newline == std::string_view::npos ? rest : rest.substr(newline + 1);
    if (!line.empty()) {
      lines.push_back(line);
    }
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(0, newline);
  }
  std::string result;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    result.append(*line).append("\n");
  }
  return result;
}

}  // namespace ax::xtask
