// I/O ports on the fake architecture: addresses above all memory on the bus that a test plays.
#pragma once

#include <arch/mmio.hpp>

namespace ax::arch {

namespace fake {
/// Bus address of port 0.
inline constexpr u64 kPorts = u64{1} << 56;
}  // namespace fake

inline u8 port_read8(u16 port) { return static_cast<u8>(fake::bus->read(fake::kPorts + port, 1)); }
inline u16 port_read16(u16 port) { return static_cast<u16>(fake::bus->read(fake::kPorts + port, 2)); }
inline u32 port_read32(u16 port) { return static_cast<u32>(fake::bus->read(fake::kPorts + port, 4)); }
inline void port_write8(u16 port, u8 value) { fake::bus->write(fake::kPorts + port, 1, value); }
inline void port_write16(u16 port, u16 value) { fake::bus->write(fake::kPorts + port, 2, value); }
inline void port_write32(u16 port, u32 value) { fake::bus->write(fake::kPorts + port, 4, value); }

}  // namespace ax::arch
