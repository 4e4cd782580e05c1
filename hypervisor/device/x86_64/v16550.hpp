// A 16550A UART, whose transmitter is infinitely fast.
#pragma once

#include <array>

#include "hypervisor/device/wires.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Baud rate and frame format are kept and have no effect. The receive timeout is over at once: characters below the
/// trigger level interrupt when they arrive. OUT2 does not gate the interrupt, as it does on the board of a PC.
/// Context: under the VM's device lock, receive() included.
class V16550 {
 public:
  static constexpr u16 kPort = 0x3f8;
  static constexpr unsigned kFifoSize = 16;

  /// Both outlive the device.
  V16550(ConsoleSink& sink, InterruptLine& interrupt) : sink_(sink), interrupt_(interrupt) { power_on(); }

  void power_on();

  /// Whether receive() has room; without, the character would be lost.
  bool can_receive() const { return received_ < capacity(); }
  /// A character arrives from the outside. With a full FIFO it is dropped and the guest sees an overrun. While the
  /// guest has the UART in loopback the cable is disconnected: the character is lost silently.
  void receive(char character);

  /// `offset`: 0 to 7.
  u8 read(unsigned offset);
  void write(unsigned offset, u8 value);

 private:
  unsigned capacity() const { return fifo_enabled_ ? kFifoSize : 1; }
  bool divisor_access() const;
  void store(char character);
  u8 take();
  u8 read_identification();
  u8 read_line_status();
  u8 modem_lines() const;
  u8 read_modem_status();
  void transmit(u8 value);
  void write_fifo_control(u8 value);
  void write_modem_control(u8 value);
  u8 interrupt_identification() const;
  void update_interrupt();

  ConsoleSink& sink_;
  InterruptLine& interrupt_;
  std::array<u8, kFifoSize> fifo_{};
  unsigned first_ = 0;
  unsigned received_ = 0;
  unsigned trigger_ = 1;
  u16 divisor_ = 0;
  u8 interrupt_enable_ = 0;
  u8 line_control_ = 0;
  u8 modem_control_ = 0;
  u8 modem_delta_ = 0;
  u8 scratch_ = 0;
  bool fifo_enabled_ = false;
  bool overrun_ = false;
  bool transmit_interrupt_ = false;
  bool asserted_ = false;
};

}  // namespace hv
