#include "hypervisor/console/guest_console.hpp"

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

void GuestConsole::receive() {
  // First the acknowledgement: a character that arrives after the last get() must raise the interrupt again.
  device_.uart->acknowledge_interrupt();
  while (const auto c = device_.uart->get()) hypervisor_.vms().console_input(*c);
}

}  // namespace hv
