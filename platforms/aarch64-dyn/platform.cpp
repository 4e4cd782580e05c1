// The services of platforms/platform.hpp.
#include "platforms/platform.hpp"

#include <arch/cpu.hpp>

#include <new>

#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/aarch64-dyn/root.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"
#include "platforms/common/start.hpp"

namespace ax::platform {
namespace {

// Constructed at the start instead of lying in the image, which would be two pages longer for it: most of it is zero.
alignas(Root) constinit std::byte storage[sizeof(Root)]{};

}  // namespace

Root& Root::instance() { return *std::launder(reinterpret_cast<Root*>(storage)); }
Root& Root::construct() { return *new (storage) Root(); }

drivers::Uart* console_uart() { return Root::instance().console; }

Result<void> start_cpu(unsigned index) {
  const percpu::PerCpu* cpu = TRY(prepare_cpu(index, EMERGENCY_STACK_SIZE));
  arch::dsb_sy();  // the block is complete before the firmware is asked
  return Root::instance().psci.cpu_on(cpu->hardware_id, address_of(reinterpret_cast<const void*>(&ax_start_secondary)),
                          address_of(cpu).value());
}

void power_off() {
  Root::instance().psci.system_off();
  arch::halt();
}

void reset() {
  Root::instance().psci.system_reset();
  arch::halt();
}

}  // namespace ax::platform
