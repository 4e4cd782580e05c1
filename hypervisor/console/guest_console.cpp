#include "hypervisor/console/guest_console.hpp"

#include <array>

#include "hypervisor/main/hypervisor.hpp"
#include "kernel/log/log.hpp"

namespace hv {

void GuestConsole::attach(drivers::Uart& uart, u32 interrupt) {
  device_.uart = &uart;
  log::set_console(*this);
  if (interrupt == 0) return;
  hypervisor_.interrupts().enable(interrupt);
  uart.enable_receive_interrupt();
}

void GuestConsole::write(std::string_view text) { mux_.write_host(text); }

void GuestConsole::put(ConsoleMux::Stream& stream, char c) {
  const log::ConsoleGuard guard;
  mux_.put_guest(stream, c);
}

void GuestConsole::flush(ConsoleMux::Stream& stream) {
  const log::ConsoleGuard guard;
  mux_.flush(stream);
}

void GuestConsole::close(ConsoleMux::Stream& stream) {
  const log::ConsoleGuard guard;
  mux_.close(stream);
}

void GuestConsole::write_lines(std::string_view text) {
  const log::ConsoleGuard guard;
  mux_.write_host(text);
}

void GuestConsole::show_input(std::string_view whole, std::string_view more) {
  const log::ConsoleGuard guard;
  mux_.show_input(whole, more);
}

// Line by line: nobody waits for the console longer than for any other line.
void GuestConsole::replay(const OutputHistory& history, std::string_view name, usize lines) {
  constexpr usize kLineSize = 200;
  std::array<char, kLineSize> buffer;
  u64 at = 0;
  for (bool first = true;; first = false) {
    const log::ConsoleGuard guard;
    if (first) at = history.start_of_last(lines);
    const auto line = history.next_line(at, buffer);
    if (!line) return;
    for (const std::string_view piece : {std::string_view("|"), name, std::string_view("| "), *line, std::string_view("\n")})
      mux_.write_host(piece);
  }
}

void GuestConsole::receive() {
  // First the acknowledgement: a character that arrives after the last get() must raise the interrupt again.
  device_.uart->acknowledge_interrupt();
  while (const auto c = device_.uart->get()) hypervisor_.vms().console_input(*c);
}

}  // namespace hv
