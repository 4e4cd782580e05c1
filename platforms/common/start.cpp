#include "platforms/common/start.hpp"

#include <arch/timer.hpp>

#include "platforms/common/image.hpp"

namespace ax::platform {

u64 microseconds() {
  constexpr u64 kMicro = 1'000'000;
  const u64 ticks = drivers::host_timer::now(), frequency = drivers::host_timer::frequency();
  return frequency == 0 ? 0 : ticks / frequency * kMicro + ticks % frequency * kMicro / frequency;
}

void give_out_memory(const MachineInfo& machine, LockedFrames& frames, HpaRange kept) {
  StaticVector<HpaRange, kMaxModules + 3> host;
  const auto add = [&](HpaRange range) { require(host.push_back(range), "too many modules"); };
  add(machine.image);
  if (!machine.fdt.empty()) add({address_of(machine.fdt.data()), machine.fdt.size()});
  for (const ModuleInfo& module : machine.modules) add(module.data);
  if (!kept.empty()) add(kept);
  const Result<void> result = frames.without_lock().initialise({.ram = machine.ram, .reserved = machine.reserved, .host = host});
  require(result, "no memory is left for the frame allocator");
}

Result<percpu::PerCpu*> prepare_cpu(unsigned index, u64 emergency_stack_size) {
  const MachineInfo& info = machine();
  percpu::PerCpu* cpu = percpu::of(index);
  if (cpu == nullptr || index >= info.cpus.size() || index == 0) return fail(Error::InvalidArgument);
  const auto allocate = [](u64& top, u64 size) -> Result<void> {
    if (top == 0) top = TRY(allocate_stack(size)).value();
    return {};
  };
  cpu->index = index;
  cpu->hardware_id = info.cpus[index].hardware_id;
  cpu->stack_size = kCpuStackSize;
  TRY(allocate(cpu->stack_top, kCpuStackSize));
  TRY(allocate(cpu->emergency_stack_top, emergency_stack_size));
  return cpu;
}

}  // namespace ax::platform
