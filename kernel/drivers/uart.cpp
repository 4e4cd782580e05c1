#include "kernel/drivers/uart.hpp"

#include <arch/cpu.hpp>

namespace ax::drivers {
namespace {

/// Polls of a busy transmitter before a character is given up: far more than one character time at 9600 baud.
constexpr unsigned kMaxPolls = 1'000'000;

}  // namespace

void Uart::write(std::string_view text) {
  for (char c : text) {
    if (c == '\n') put('\r');
    put(c);
  }
}

void Uart::put(char c) {
  for (unsigned polls = 0; !can_send(); ++polls) {
    if (polls == kMaxPolls) return;
    arch::cpu_relax();
  }
  send(c);
}

}  // namespace ax::drivers
