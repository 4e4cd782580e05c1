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

/// Runs `change(table, source)` on the live tables; new tables come out of free frames.
template <class Change>
Result<void> change_tables(AddressSpace& space, Change change) {
  const auto frames = root.frames.lock();
  mm::OwnedTables source(*frames, mm::Owner::host());
  return change(space.table, source);
}

Result<void> map_identity(HpaRange range, mm::PageAttributes attributes) {
  if (!range.fits()) return fail(Error::OutOfRange);
  const auto space = root.space.lock();
  const HpaRange pages = whole_pages(range);
  return change_tables(*space, [&](HostTable& table, mm::OwnedTables& source) {
    return table.map(source, identity(pages), pages.base, attributes);
  });
}

/// Where the frames of the stack that ends at `top` lie.
Result<HpaRange> frames_of_stack(const AddressSpace& space, Hva top, u64 size) {
  const auto translation = space.table.translate(top - size);
  if (!translation) return fail(Error::NotFound);
  return HpaRange{translation->address, size};
}

}  // namespace

Root& Root::instance() { return root; }

MachineInfo& machine() { return root.machine; }
LockedFrames& frames() { return root.frames; }
drivers::Uart* console_uart() { return root.console; }

Result<void> map_device(HpaRange range) { return map_identity(range, mm::kDeviceReadWrite); }
Result<void> map_memory(HpaRange range) { return map_identity(range, mm::kReadWrite); }

Result<Hva> allocate_stack(u64 size) {
  if (size == 0 || size > StackWindow::kLargestStack) return fail(Error::InvalidArgument);
  const u64 bytes = align_up(size, kPageSize);
  const HpaRange memory = TRY(root.frames.lock()->allocate(bytes, mm::Owner::host()));
  const auto space = root.space.lock();
  const Result<Hva> top = space->stacks.take();
  Result<void> mapped = top ? Result<void>{} : fail(top.error());
  if (top) {
    mapped = change_tables(*space, [&](HostTable& table, mm::OwnedTables& source) {
      return table.map(source, {*top - bytes, bytes}, memory.base, mm::kReadWrite);
    });
  }
  if (mapped) return *top;
  if (top) space->stacks.give_back(*top);
  root.frames.lock()->free(memory, mm::Owner::host());
  return fail(mapped.error());
}

void free_stack(Hva top, u64 size) {
  const u64 bytes = align_up(size, kPageSize);
  const auto space = root.space.lock();
  const Result<HpaRange> memory = frames_of_stack(*space, top, bytes);
  AX_CHECK(memory.has_value());
  const Result<void> unmapped = change_tables(
      *space, [&](HostTable& table, mm::OwnedTables& source) { return table.unmap(source, {top - bytes, bytes}); });
  AX_CHECK(unmapped.has_value());  // stacks are mapped page by page or whole: nothing is split
  space->stacks.give_back(top);
  root.frames.lock()->free(*memory, mm::Owner::host());
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
