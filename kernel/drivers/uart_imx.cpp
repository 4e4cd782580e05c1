#include <arch/mmio.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {

enum class ImxUart::Register : u16 {
  URXD = 0x00,  // received character, and whether there was one
  UTXD = 0x40,
  UCR1 = 0x80,  // control: enable, interrupts
  UCR2 = 0x84,  // control: transmitter, receiver
  UCR4 = 0x8c,  // control: more interrupts
  UTS = 0xb4,   // test: state of the FIFOs
};

namespace {

constexpr u32 kEnable = 1 << 0, kReceiverReadyInterrupt = 1 << 9;
constexpr u32 kReceiveEnable = 1 << 1, kTransmitEnable = 1 << 2;
constexpr u32 kTransmitFifoFull = 1 << 4;
constexpr u32 kCharacterReady = 1 << 15;

}  // namespace

u32 ImxUart::read(Register r) const { return arch::mmio_read32(base_ + static_cast<u16>(r)); }
void ImxUart::write_register(Register r, u32 value) const { arch::mmio_write32(base_ + static_cast<u16>(r), value); }

// All interrupt enables of UCR1 go but the module's own; those of the other registers are for modem lines and errors.
void ImxUart::init() {
  write_register(Register::UCR1, kEnable);
  write_register(Register::UCR4, 0);
  write_register(Register::UCR2, read(Register::UCR2) | kReceiveEnable | kTransmitEnable);
}

bool ImxUart::can_send() { return (read(Register::UTS) & kTransmitFifoFull) == 0; }
void ImxUart::send(char c) { write_register(Register::UTXD, static_cast<u8>(c)); }

std::optional<char> ImxUart::get() {
  const u32 received = read(Register::URXD);
  if ((received & kCharacterReady) == 0) return std::nullopt;
  return static_cast<char>(received);
}

// The trigger level is firmware's: 1 after reset. The interrupt ends when the FIFO is below it.
void ImxUart::enable_receive_interrupt() { write_register(Register::UCR1, kEnable | kReceiverReadyInterrupt); }
void ImxUart::acknowledge_interrupt() {}

}  // namespace ax::drivers
