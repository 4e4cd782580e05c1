#include <arch/mmio.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {

enum class Pl011::Register : u16 {
  DR = 0x00,    // data
  FR = 0x18,    // flags
  CR = 0x30,    // control (not in the SBSA subset, where it reads as zero and ignores writes)
  IMSC = 0x38,  // interrupt mask: a set bit lets the interrupt through
  ICR = 0x44,   // interrupt clear
};

namespace {

constexpr u32 kReceiveFifoEmpty = 1 << 4;
constexpr u32 kTransmitFifoFull = 1 << 5;
constexpr u32 kEnable = 1 << 0, kTransmitEnable = 1 << 8, kReceiveEnable = 1 << 9;
constexpr u32 kReceiveInterrupt = 1 << 4, kReceiveTimeoutInterrupt = 1 << 6;
constexpr u32 kAllInterrupts = 0x7ff;

}  // namespace

u32 Pl011::read(Register r) const { return arch::mmio_read32(base_ + static_cast<u16>(r)); }
void Pl011::write_register(Register r, u32 value) const { arch::mmio_write32(base_ + static_cast<u16>(r), value); }

void Pl011::init() {
  write_register(Register::IMSC, 0);
  write_register(Register::ICR, kAllInterrupts);
  write_register(Register::CR, read(Register::CR) | kEnable | kTransmitEnable | kReceiveEnable);
}

bool Pl011::can_send() { return (read(Register::FR) & kTransmitFifoFull) == 0; }
void Pl011::send(char c) { write_register(Register::DR, static_cast<u8>(c)); }

std::optional<char> Pl011::get() {
  if (read(Register::FR) & kReceiveFifoEmpty) return std::nullopt;
  return static_cast<char>(read(Register::DR));
}

void Pl011::enable_receive_interrupt() { write_register(Register::IMSC, kReceiveInterrupt | kReceiveTimeoutInterrupt); }
void Pl011::acknowledge_interrupt() { write_register(Register::ICR, kReceiveInterrupt | kReceiveTimeoutInterrupt); }

}  // namespace ax::drivers
