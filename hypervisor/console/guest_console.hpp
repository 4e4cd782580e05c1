// The physical console as host and guests share it.
#pragma once

#include "hypervisor/console/console.hpp"
#include "kernel/drivers/uart.hpp"

namespace hv {

class Hypervisor;

/// The log's sink (host lines) and the guests' way out (characters). Whoever writes holds the log's console lock: the log
/// itself for host lines, put() and close() for guests. Any CPU, any context, a panic included.
class GuestConsole final : private Sink {
 public:
  explicit GuestConsole(Hypervisor& owner) : hypervisor_(owner) {}

  /// Takes over from the platform's plain console `uart`, and its input by interrupt if it has one (0: none). Boot CPU,
  /// interrupt controller ready.
  void attach(drivers::Uart& uart, u32 interrupt);

  void put(ConsoleMux::Stream& stream, char c);
  /// Shows an unfinished line: its guest waits, probably for an answer to it.
  void flush(ConsoleMux::Stream& stream);
  void close(ConsoleMux::Stream& stream);

  /// Whole lines that do not belong into the log: answers of the shell.
  void write_lines(std::string_view text);
  /// See ConsoleMux::show_input().
  void show_input(std::string_view whole, std::string_view more);
  /// Shows the newest `lines` lines of a guest called `name`, marked as old.
  void replay(const OutputHistory& history, std::string_view name, usize lines);

  /// The receive interrupt: passes input on to the VM that has the console. Boot CPU, interrupts masked.
  void receive();

 private:
  /// Passes text on to the UART once there is one.
  struct Device final : Sink {
    void write(std::string_view text) override {
      if (uart != nullptr) uart->write(text);
    }
    drivers::Uart* uart = nullptr;
  };

  void write(std::string_view text) override;

  Hypervisor& hypervisor_;
  Device device_;
  ConsoleMux mux_{device_};
};

}  // namespace hv
