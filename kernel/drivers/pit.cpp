#include "kernel/drivers/pit.hpp"

#include <arch/port.hpp>

namespace ax::drivers {
namespace {

constexpr u16 kChannel2 = 0x42, kCommand = 0x43, kControl = 0x61;
constexpr u8 kGate = 1 << 0, kSpeaker = 1 << 1;
constexpr u8 kCountOnceFromChannel2 = 0xb0;  // low byte, high byte, mode 0
constexpr u8 kLatchChannel2 = 0x80;
constexpr u8 kHighest = 0xff;

}  // namespace

bool Pit::start() {
  arch::port_write8(kControl, static_cast<u8>((arch::port_read8(kControl) & ~kSpeaker) | kGate));
  arch::port_write8(kCommand, kCountOnceFromChannel2);
  arch::port_write8(kChannel2, kHighest);
  arch::port_write8(kChannel2, kHighest);
  return true;
}

u32 Pit::now() const {
  arch::port_write8(kCommand, kLatchChannel2);
  const u32 low = arch::port_read8(kChannel2);
  const u32 left = low | u32{arch::port_read8(kChannel2)} << 8;
  return 0xffff - left;
}

}  // namespace ax::drivers
