// Device register access on the fake architecture: a test plays the device.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

namespace fake {

/// All devices there are. The test that sets `bus` owns it.
class Bus {
 public:
  virtual ~Bus() = default;
  virtual u64 read(u64 address, unsigned bytes) = 0;
  virtual void write(u64 address, unsigned bytes, u64 value) = 0;
};
inline Bus* bus = nullptr;

}  // namespace fake

inline u8 mmio_read8(u64 address) { return static_cast<u8>(fake::bus->read(address, 1)); }
inline u16 mmio_read16(u64 address) { return static_cast<u16>(fake::bus->read(address, 2)); }
inline u32 mmio_read32(u64 address) { return static_cast<u32>(fake::bus->read(address, 4)); }
inline u64 mmio_read64(u64 address) { return fake::bus->read(address, 8); }
inline void mmio_write8(u64 address, u8 value) { fake::bus->write(address, 1, value); }
inline void mmio_write16(u64 address, u16 value) { fake::bus->write(address, 2, value); }
inline void mmio_write32(u64 address, u32 value) { fake::bus->write(address, 4, value); }
inline void mmio_write64(u64 address, u64 value) { fake::bus->write(address, 8, value); }

}  // namespace ax::arch
