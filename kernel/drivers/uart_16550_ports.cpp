#include <arch/port.hpp>

#include "kernel/drivers/uart.hpp"

namespace ax::drivers {

u8 Uart16550Ports::read(u16 number) const { return arch::port_read8(static_cast<u16>(first_port_ + number)); }
void Uart16550Ports::write_register(u16 number, u8 value) const { arch::port_write8(static_cast<u16>(first_port_ + number), value); }

}  // namespace ax::drivers
