// The console as a program's terminal.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax::uni {

/// Struct iovec.
struct IoVector {
  char* base;
  u64 size;
};

/// Any context but an interrupt's.
void console_write(std::string_view text);

/// Waits for a line and returns as much of it as fits; what is left comes with the next call. 0: the end of the input, which a
/// person types as ^D. What is typed is echoed, and can be corrected with backspace.
usize console_read(std::span<char> buffer);

/// Whether console_read() would not wait.
bool console_has_input();

/// ioctl() on it: the size of the window, and that it is a terminal. -errno for everything else.
i64 console_control(u64 request, void* argument);

}  // namespace ax::uni
