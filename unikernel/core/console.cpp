#include "unikernel/core/console.hpp"

#include <array>

#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/time.hpp"

namespace ax::uni {
namespace {

constexpr u64 kPollInterval = 1'000'000;  // of a console without interrupts, in nanoseconds
constexpr char kEndOfInput = 4, kBackspace = 8, kDelete = 127;

/// One line that is being typed, or has been and not been read.
class LineEditor {
 public:
  bool complete() const { return complete_; }

  void type(char c) {
    if (c == 0) return;
    if (c == '\r') c = '\n';
    if (c == kEndOfInput) {
      complete_ = true;
      return;
    }
    if (c == kBackspace || c == kDelete) {
      if (size_ == 0) return;
      --size_;
      console_write("\b \b");
      return;
    }
    if (size_ == text_.size()) return;
    text_[size_++] = c;
    console_write({&c, 1});
    complete_ = c == '\n' || size_ == text_.size();
  }

  usize take(std::span<char> buffer) {
    usize taken = 0;
    while (taken < buffer.size() && read_ < size_) buffer[taken++] = text_[read_++];
    if (read_ == size_) {
      read_ = size_ = 0;
      complete_ = false;
    }
    return taken;
  }

 private:
  std::array<char, 1024> text_{};
  usize size_ = 0;
  usize read_ = 0;
  bool complete_ = false;
};

constinit LineEditor line;

void poll() {
  drivers::Uart* uart = platform::console_uart();
  while (uart != nullptr && !line.complete()) {
    const std::optional<char> c = uart->get();
    if (!c) return;
    line.type(*c);
  }
}

}  // namespace

void console_write(std::string_view text) {
  drivers::Uart* uart = platform::console_uart();
  if (uart == nullptr) return;
  // Interrupts are masked meanwhile: not longer than a piece takes.
  constexpr usize kPiece = 128;
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), kPiece))) {
    const log::ConsoleGuard guard;
    uart->write(text.substr(0, kPiece));
  }
}

usize console_read(std::span<char> buffer) {
  while (!console_has_input()) sleep_until(monotonic_now() + kPollInterval);
  return line.take(buffer);
}

bool console_has_input() {
  poll();
  return line.complete();
}

i64 console_control(u64 request, void* argument) {
  constexpr u64 kGetAttributes = 0x5401, kGetWindowSize = 0x5413;
  struct WindowSize {
    u16 rows, columns, width, height;
  };
  if (request == kGetWindowSize) {
    *static_cast<WindowSize*>(argument) = {25, 80, 0, 0};
    return 0;
  }
  return request == kGetAttributes ? 0 : kNotTerminal;
}

}  // namespace ax::uni
