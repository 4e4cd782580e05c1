#include <arch/mmio.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {

enum class CadenceUart::Register : u16 {
  CR = 0x00,    // control
  IER = 0x08,   // interrupt enable: a set bit lets the interrupt through
  IDR = 0x0c,   // interrupt disable
  ISR = 0x14,   // interrupt status, cleared by writing ones
  RXWM = 0x20,  // received characters that raise the interrupt
  SR = 0x2c,    // state of the FIFOs
  FIFO = 0x30,
};

namespace {

constexpr u32 kReceiveEnable = 1 << 2, kReceiveDisable = 1 << 3, kTransmitEnable = 1 << 4, kTransmitDisable = 1 << 5;
constexpr u32 kReceiveTrigger = 1 << 0;
constexpr u32 kReceiveFifoEmpty = 1 << 1, kTransmitFifoFull = 1 << 4;
constexpr u32 kAllInterrupts = 0x1fff;

}  // namespace

u32 CadenceUart::read(Register r) const { return arch::mmio_read32(base_ + static_cast<u16>(r)); }
void CadenceUart::write_register(Register r, u32 value) const { arch::mmio_write32(base_ + static_cast<u16>(r), value); }

void CadenceUart::init() {
  write_register(Register::IDR, kAllInterrupts);
  write_register(Register::ISR, kAllInterrupts);
  write_register(Register::CR, (read(Register::CR) & ~(kReceiveDisable | kTransmitDisable)) | kReceiveEnable | kTransmitEnable);
}

bool CadenceUart::can_send() { return (read(Register::SR) & kTransmitFifoFull) == 0; }
void CadenceUart::send(char c) { write_register(Register::FIFO, static_cast<u8>(c)); }

std::optional<char> CadenceUart::get() {
  if (read(Register::SR) & kReceiveFifoEmpty) return std::nullopt;
  return static_cast<char>(read(Register::FIFO));
}

void CadenceUart::enable_receive_interrupt() {
  write_register(Register::RXWM, 1);
  write_register(Register::IER, kReceiveTrigger);
}
void CadenceUart::acknowledge_interrupt() { write_register(Register::ISR, kReceiveTrigger); }

}  // namespace ax::drivers
