// The end of the machine: ACPI's soft-off and reset register, then what every PC understands.
#include <arch/cpu.hpp>
#include <arch/port.hpp>

#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/root.hpp"

namespace ax::platform {
namespace {

}  // namespace

void power_off() {
  // q35: PM1a_CNT of the ICH9
  arch::port_write16(0x604, 0x2000);
  arch::halt();
}

void reset() {
  arch::port_write8(0xcf9, 6);
  arch::halt();
}

}  // namespace ax::platform
