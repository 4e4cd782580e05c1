// An Arm PrimeCell UART (PL011, DDI 0183) in revision r1p5, whose transmitter is infinitely fast.
#pragma once

#include <array>

#include "hypervisor/device/mmio.hpp"
#include "hypervisor/device/wires.hpp"

namespace hv {

/// Context: under the VM's device lock, receive() included; the sink and the line are called under it.
///
/// Transmission works whatever UARTCR says, since a guest may rely on firmware having enabled it; so does reception.
/// Baud rate and frame format are kept and have no effect. The receive timeout is over at once: a character below the
/// trigger level raises the timeout interrupt when it arrives.
class VPl011 final : public MmioDevice {
 public:
  static constexpr u64 kRegionSize = 4_KiB;
  static constexpr usize kFifoSize = 32;

  /// Both outlive the device.
  VPl011(ConsoleSink& sink, InterruptLine& interrupt) : sink_(sink), interrupt_(interrupt) { reset(); }

  void reset();

  /// Whether receive() has room; without, the character would be lost.
  bool can_receive() const { return received_ < capacity(); }
  /// A character arrives from the outside. With a full FIFO it is dropped and the guest sees an overrun.
  void receive(char character);

  std::optional<u64> read(const MmioAccess& access) override;
  bool write(const MmioAccess& access, u64 value) override;

 private:
  struct Register {
    u16 offset;
    u32 (VPl011::*read)();
    void (VPl011::*write)(u32);
  };
  struct Tables;
  static const Register* find(u64 offset);

  usize capacity() const;
  usize trigger_level() const;
  void clear_fifo();
  void update_interrupt();

  u32 read_nothing() { return 0; }
  void write_nothing(u32) {}
  u32 read_data();
  void write_data(u32 value);
  u32 read_status() { return receive_status_; }
  void write_error_clear(u32) { receive_status_ = 0; }
  u32 read_flags();
  u32 read_raw_interrupts() { return raw_; }
  u32 read_masked_interrupts() { return raw_ & mask_; }
  void write_interrupt_clear(u32 value);
  void write_line_control(u32 value);
  void write_mask(u32 value);

  template <u32 VPl011::* Field>
  u32 read_field() {
    return this->*Field;
  }
  template <u32 VPl011::* Field, u32 Bits>
  void write_field(u32 value) {
    this->*Field = value & Bits;
  }

  ConsoleSink& sink_;
  InterruptLine& interrupt_;
  std::array<u16, kFifoSize> fifo_{};  ///< as UARTDR reads: data and error flags
  usize first_ = 0;
  usize received_ = 0;
  u32 receive_status_ = 0;
  u32 low_power_ = 0;
  u32 integer_baud_ = 0;
  u32 fractional_baud_ = 0;
  u32 line_control_ = 0;
  u32 control_ = 0;
  u32 fifo_levels_ = 0;
  u32 mask_ = 0;
  u32 raw_ = 0;
  u32 dma_control_ = 0;
  bool overrun_ = false;  ///< a character was lost: the next one that is stored carries the flag
  bool asserted_ = false;
};

}  // namespace hv
