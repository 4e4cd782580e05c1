// Whom the keyboard belongs to.
#pragma once

#include <optional>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Ctrl-] and a digit give the input to the VM of that place in the boot order, 1 to 9; Ctrl-] and s to the shell; Ctrl-] twice
/// sends one Ctrl-]; Ctrl-] and anything else is dropped. Not locked: the owner serialises calls.
class ConsoleFocus {
 public:
  static constexpr char kEscape = 0x1d;  ///< Ctrl-]
  static constexpr char kShell = 's';

  /// What has become of one character.
  struct Input {
    std::optional<char> character{};   ///< for whoever has the input
    std::optional<unsigned> chosen{};  ///< place of a VM that the user asks for, from 0 on; it may not exist
    bool shell = false;                ///< the user asks for the shell
  };

  Input type(char c) {
    if (!escaped_) {
      escaped_ = c == kEscape;
      return escaped_ ? Input{} : Input{.character = c};
    }
    escaped_ = false;
    if (c == kEscape) return {.character = c};
    if (c == kShell) return {.shell = true};
    if (c >= '1' && c <= '9') return {.chosen = static_cast<unsigned>(c - '1')};
    return {};
  }

 private:
  bool escaped_ = false;
};

}  // namespace hv
