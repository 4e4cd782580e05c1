// The services of platforms/platform.hpp that are this platform's own.
#include "platforms/platform.hpp"

#include <arch/barrier.hpp>
#include <arch/cpu.hpp>

#include "platforms/common/start.hpp"
#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/riscv64-qemu-virt/root.hpp"
#include "platforms/riscv64-qemu-virt/symbols.hpp"

namespace ax::platform {
namespace {

constinit Root root;
constinit std::atomic<unsigned> begun{1};  ///< CPUs below this index may run

}  // namespace

Root& Root::instance() { return root; }

drivers::Uart* console_uart() { return root.console; }

void flush_other_tlbs() {
  arch::fence();  // the tables have changed before a CPU is found asleep
  for (unsigned i = 0; i < begun; ++i) {
    const percpu::PerCpu* cpu = percpu::of(i);
    if (i != arch::cpu_index() && cpu->asleep == 0) drivers::sbi::flush_tlb(cpu->hardware_id);
  }
}

Result<void> start_cpu(unsigned index) {
  const percpu::PerCpu* cpu = TRY(prepare_cpu(index, EMERGENCY_STACK_SIZE));
  if (index >= begun) begun = index + 1;  // what changes from now on, it may have seen
  arch::fence();                          // the block is complete before the firmware is asked
  return drivers::sbi::start_hart(cpu->hardware_id, address_of(reinterpret_cast<const void*>(&ax_start_secondary)), 0);
}

void power_off() {
  drivers::sbi::shut_down();
  arch::halt();
}

void reset() {
  drivers::sbi::reboot();
  arch::halt();
}

}  // namespace ax::platform
