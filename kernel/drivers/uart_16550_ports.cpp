#include <arch/port.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {
namespace {

constexpr u16 kLineControl = 3;
constexpr u8 kDivisorAccess = 1 << 7, kEightBits = 3;
constexpr u16 kDivisorLow = 0, kDivisorHigh = 1;  // with divisor access
constexpr u8 kFullSpeed = 1;                      // 1.8432 MHz / 16

}  // namespace

void Uart16550Ports::init() {
  write_register(kLineControl, kDivisorAccess);
  write_register(kDivisorLow, kFullSpeed);
  write_register(kDivisorHigh, 0);
  write_register(kLineControl, kEightBits);
  Uart16550Registers::init();
}

u8 Uart16550Ports::read(u16 number) const { return arch::port_read8(static_cast<u16>(first_port_ + number)); }
void Uart16550Ports::write_register(u16 number, u8 value) const {
  arch::port_write8(static_cast<u16>(first_port_ + number), value);
}

}  // namespace ax::drivers
