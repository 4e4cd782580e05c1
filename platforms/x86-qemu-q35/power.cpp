// The end of the machine: what ACPI offers, then what every PC understands.
#include <arch/cpu.hpp>
#include <arch/mmio.hpp>
#include <arch/port.hpp>
#include <arch/timer.hpp>

#include "platforms/platform.hpp"

namespace ax::platform {
namespace {

// PM1 control (ACPI 6.5 4.8.3.2.1).
constexpr u16 kAcpiMode = 1 << 0, kSleepEnable = 1 << 13;
constexpr unsigned kSleepTypeShift = 10;

/// The chipset's reset control register: a full reset on the edge of bit 2.
constexpr u16 kResetControl = 0xcf9;
constexpr u8 kHardReset = 1 << 1, kResetNow = 1 << 2;

constexpr unsigned kPollsForAcpiMode = 1'000'000;
constexpr u64 kResetsPerSecond = 10;  // time that a way of resetting gets, before the next one is tried

void enter_acpi_mode(const acpi::PowerManagement& power) {
  if (power.smi_command_port == 0 || (arch::port_read16(power.pm1a_control_port) & kAcpiMode) != 0) return;
  arch::port_write8(power.smi_command_port, power.acpi_enable);
  for (unsigned i = 0; i < kPollsForAcpiMode && (arch::port_read16(power.pm1a_control_port) & kAcpiMode) == 0; ++i)
    arch::cpu_relax();
}

void sleep(u16 control_port, u8 type) {
  constexpr u16 kTypeMask = 7 << kSleepTypeShift;
  const u16 value = static_cast<u16>((arch::port_read16(control_port) & ~kTypeMask) | type << kSleepTypeShift);
  arch::port_write16(control_port, value);
  arch::port_write16(control_port, value | kSleepEnable);
}

void write_reset_register(const acpi::Register& reset, u8 value) {
  if (reset.space == acpi::Register::Space::Port) arch::port_write8(static_cast<u16>(reset.address), value);
  if (reset.space != acpi::Register::Space::Memory) return;
  if (map_device({Hpa(reset.address), 1})) arch::mmio_write8(reset.address, value);
}

void wait_for_reset() {
  namespace timer = drivers::host_timer;
  const u64 deadline = timer::now() + timer::frequency() / kResetsPerSecond;
  while (timer::now() < deadline) arch::cpu_relax();
}

/// An exception without a descriptor table to deliver it through is a triple fault, which resets every PC.
[[noreturn]] void triple_fault() {
  constexpr u8 kNoTable[10] = {};
  asm volatile("lidt %0; int3" : : "m"(kNoTable));
  arch::halt();
}

}  // namespace

void power_off() {
  const PcInfo& pc = machine().pc;
  arch::irq_disable();
  if (pc.soft_off && pc.power.pm1a_control_port != 0) {
    enter_acpi_mode(pc.power);
    if (pc.power.pm1b_control_port != 0) sleep(pc.power.pm1b_control_port, pc.soft_off->b);
    sleep(pc.power.pm1a_control_port, pc.soft_off->a);
  }
  arch::halt();
}

void reset() {
  const PcInfo& pc = machine().pc;
  arch::irq_disable();
  write_reset_register(pc.power.reset, pc.power.reset_value);
  wait_for_reset();
  arch::port_write8(kResetControl, kHardReset);
  arch::port_write8(kResetControl, kHardReset | kResetNow);
  wait_for_reset();
  triple_fault();
}

}  // namespace ax::platform
