// The services of platforms/platform.hpp.
#include "platforms/platform.hpp"

#include <arch/cpu.hpp>

#include "kernel/percpu/per_cpu.hpp"
#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/aarch64-dyn/root.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"

namespace ax::platform {
namespace {

constinit Root root;

}  // namespace

Root& Root::instance() { return root; }

MachineInfo& machine() { return root.machine; }
LockedFrames& frames() { return root.frames; }
drivers::Uart* console_uart() { return root.console; }

Result<void> map_device(HpaRange range) { return root.space.map_identity(root.frames, range, mm::kDeviceReadWrite); }
Result<void> map_memory(HpaRange range) { return root.space.map_identity(root.frames, range, mm::kReadWrite); }
Result<Hva> allocate_stack(u64 size) { return root.space.allocate_stack(root.frames, size); }
void free_stack(Hva top, u64 size) { root.space.free_stack(root.frames, top, size); }

Result<void> map_pages(Range<Hva> where, Hpa frames, mm::PageAttributes attributes) {
  return root.space.map(root.frames, where, frames, attributes);
}
Result<void> unmap_pages(Range<Hva> where) { return root.space.unmap(root.frames, where); }
Result<void> protect_pages(Range<Hva> where, mm::PageAttributes attributes) {
  return root.space.protect(root.frames, where, attributes);
}
std::optional<Hpa> physical_address(Hva address) {
  const auto found = root.space.translate(address);
  return found ? std::optional(found->address) : std::nullopt;
}

Result<void> start_cpu(unsigned index) {
  percpu::PerCpu* cpu = percpu::of(index);
  if (cpu == nullptr || index >= root.machine.cpus.size() || index == 0) return fail(Error::InvalidArgument);
  if (cpu->stack_top == 0) {
    const Hva stack = TRY(allocate_stack(kCpuStackSize));
    const Result<Hva> emergency_stack = allocate_stack(EMERGENCY_STACK_SIZE);
    if (!emergency_stack) {
      free_stack(stack, kCpuStackSize);
      return fail(emergency_stack.error());
    }
    cpu->index = index;
    cpu->hardware_id = root.machine.cpus[index].hardware_id;
    cpu->emergency_stack_top = emergency_stack->value();
    cpu->stack_size = kCpuStackSize;
    cpu->stack_top = stack.value();
  }
  arch::dsb_sy();  // the block is complete before the firmware is asked
  return root.psci.cpu_on(cpu->hardware_id, address_of(reinterpret_cast<const void*>(&ax_start_secondary)),
                          address_of(cpu).value());
}

void power_off() {
  root.psci.system_off();
  arch::halt();
}

void reset() {
  root.psci.system_reset();
  arch::halt();
}

}  // namespace ax::platform
