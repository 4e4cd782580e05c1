#include "unikernel/core/interrupts.hpp"

#include <algorithm>
#include <arch/cpu.hpp>

#include "kernel/drivers/gic.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/platform.hpp"

extern "C" void ax_context_entry();

namespace ax::uni {
namespace {

constexpr u32 kKick = 0;  // SGI

constinit drivers::Gic gic;
constinit u32 timer_interrupt = 0, device_interrupt = 0;
constinit void (*device_handler)() = nullptr;

/// As ax_switch_context() stores it.
struct Context {
  u64 x19_to_x28[10];
  u64 x29, x30;
  u64 d8_to_d15[8];
  u64 fpcr;
  u64 padding;
};
static_assert(sizeof(Context) == 176);

}  // namespace

Result<void> init_interrupts(const MachineInfo& machine) {
  const GicInfo& info = machine.gic;
  TRY(platform::map_device(info.distributor));
  if (info.version == 2) TRY(platform::map_device(info.cpu_interface));
  for (const HpaRange& region : info.redistributors) TRY(platform::map_device(region));
  gic.attach(info, machine.cpus);
  gic.init_distributor();
  timer_interrupt = machine.timer.virtual_interrupt;
  return {};
}

Result<void> init_cpu_interrupts(unsigned index) {
  TRY(gic.init_cpu(index));
  gic.enable(timer_interrupt);
  return {};
}

Result<void> attach_device(std::span<const u32> interrupt, void (*handler)()) {
  fdt::Interrupt described{.controller = {}, .cells = {}, .cell_count = interrupt.size()};
  if (interrupt.size() > described.cells.size()) return fail(Error::NotSupported);
  std::ranges::copy(interrupt, described.cells.begin());
  const fdt::GicInterrupt found = TRY(fdt::decode_gic_interrupt(described));
  if (found.intid < drivers::kFirstSpi || found.intid >= gic.interrupt_count()) return fail(Error::NotSupported);
  device_interrupt = found.intid;
  device_handler = handler;
  gic.set_trigger(found.intid, found.edge ? drivers::Trigger::Edge : drivers::Trigger::Level);
  gic.route(found.intid, 0);
  gic.enable(found.intid);
  return {};
}

void kick_cpu(unsigned index) { gic.send_ipi(index, kKick); }

void take_interrupts(void (*timer)()) {
  while (true) {
    const drivers::AcknowledgedInterrupt interrupt = gic.acknowledge();
    if (interrupt.spurious()) return;
    if (interrupt.id == timer_interrupt) timer();
    if (interrupt.id == device_interrupt && device_handler != nullptr) device_handler();
    gic.end_of_interrupt(interrupt.token);
    gic.deactivate(interrupt.token);
  }
}

u64 thread_pointer() { return arch::TPIDR_EL0::read(); }
void set_thread_pointer(u64 value) { arch::TPIDR_EL0::write(value); }

void* make_context(u64 top, void (*entry)(void*), void* argument) {
  Context* context = reinterpret_cast<Context*>(align_down(top, 16)) - 1;
  *context = {};
  context->x19_to_x28[0] = reinterpret_cast<u64>(entry);
  context->x19_to_x28[1] = reinterpret_cast<u64>(argument);
  context->x30 = reinterpret_cast<u64>(&ax_context_entry);
  return context;
}

}  // namespace ax::uni
