#include <arch/mmio.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {
namespace {

namespace Register {
constexpr u16 Data = 0;  // RBR when read, THR when written
constexpr u16 InterruptEnable = 1;
constexpr u16 InterruptId = 2;  // when read
constexpr u16 FifoControl = 2;  // when written
constexpr u16 ModemControl = 4;
constexpr u16 LineStatus = 5;
constexpr u16 UartStatus = 31;  // DesignWare only
}  // namespace Register

constexpr u8 kFifoEnable = 1 << 0;
constexpr u8 kDataTerminalReady = 1 << 0, kRequestToSend = 1 << 1, kOut2 = 1 << 3;
constexpr u8 kDataReady = 1 << 0, kTransmitterHoldingEmpty = 1 << 5;
constexpr u8 kReceiveInterrupt = 1 << 0;
constexpr u8 kInterruptIdMask = 0xf;
constexpr u8 kBusyDetect = 0x7;  // DesignWare: the line control register was written while the port was busy

}  // namespace

u8 Uart16550::read(u16 number) const {
  const u64 address = base_ + (u64{number} << shift_);
  return width_ == 4 ? static_cast<u8>(arch::mmio_read32(address)) : arch::mmio_read8(address);
}

void Uart16550::write_register(u16 number, u8 value) const {
  const u64 address = base_ + (u64{number} << shift_);
  width_ == 4 ? arch::mmio_write32(address, value) : arch::mmio_write8(address, value);
}

void Uart16550Registers::init() {
  write_register(Register::InterruptEnable, 0);
  write_register(Register::FifoControl, kFifoEnable);
  // OUT2 gates the interrupt line on PC-style boards.
  write_register(Register::ModemControl, kDataTerminalReady | kRequestToSend | kOut2);
}

bool Uart16550Registers::can_send() { return (read(Register::LineStatus) & kTransmitterHoldingEmpty) != 0; }
void Uart16550Registers::send(char c) { write_register(Register::Data, static_cast<u8>(c)); }

std::optional<char> Uart16550Registers::get() {
  if ((read(Register::LineStatus) & kDataReady) == 0) return std::nullopt;
  return static_cast<char>(read(Register::Data));
}

void Uart16550Registers::enable_receive_interrupt() { write_register(Register::InterruptEnable, kReceiveInterrupt); }

void Uart16550Registers::acknowledge_interrupt() {
  // Only a DesignWare port ever reports busy-detect, so its status register exists when it is read here.
  if ((read(Register::InterruptId) & kInterruptIdMask) == kBusyDetect) read(Register::UartStatus);
}

}  // namespace ax::drivers
