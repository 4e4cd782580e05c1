// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor interrupts,
// timer, stacks. Ends with `selftest: passed` and a power-off, or with a panic.
//
// The command line (/chosen/bootargs) may name a way to die instead: see selftest::kDeaths.
#include "kernel/drivers/gic.hpp"
#include "kernel/drivers/gic_virtual.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"
#include "platforms/common/selftest.hpp"

namespace ax {
namespace {

using namespace selftest;

constexpr u32 kTestSgi = 1, kStopSgi = 15;

constinit drivers::Gic gic;

void print_machine(const MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  log::print_line("image {:#x}..{:#x}, linked for {:#x}, {} CPUs, command line \"{}\"", machine.image.base, machine.image.end(),
                  ax_link_address(), machine.cpus.size(), machine.command_line);
  print_ranges(machine);
  log::print_line("GICv{} at {:#x}, console {} at {:#x}, timer {} Hz, PSCI conduit {}", machine.gic.version,
                  machine.gic.distributor.base, machine.console.kind, machine.console.registers.base, machine.timer.frequency_hz,
                  machine.psci);
}

void map_interrupt_controller(const GicInfo& info) {
  StaticVector<HpaRange, 12> ranges;
  for (const HpaRange& range : {info.distributor, info.cpu_interface, info.hypervisor_interface}) {
    if (!range.empty()) expect(ranges.push_back(range), "too many GIC frames");
  }
  for (const HpaRange& range : info.redistributors) expect(ranges.push_back(range), "too many GIC frames");
  for (const HpaRange& range : ranges) {
    expect(platform::map_device(range), "mapping the GIC");
    expect(platform::map_device(range), "mapping the GIC once more");
  }
}

void check_virtual_interface(const GicInfo& info) {
  drivers::GicVirtualInterface interface;
  interface.attach(info);
  const ListRegister sent = ListRegister::pack(
      {.virtual_id = 42, .priority = 0xa0, .group1 = true, .state = ListRegisterState::Pending, .maintenance = true});
  for (unsigned i = 0; i < interface.list_register_count(); ++i) {
    interface.write(i, sent);
    expect(interface.read(i) == sent, "a list register does not keep its value");
    expect((interface.empty() >> i & 1) == 0, "a full list register reads as empty");
    interface.write(i, ListRegister());
  }
  log::print_line("virtual interface: {} list registers, {} priority bits", interface.list_register_count(),
                  interface.priority_bits());
}

void enable_timer(const TimerInfo& info) {
  gic.set_trigger(info.hypervisor_interrupt, drivers::Trigger::Level);
  gic.enable(info.hypervisor_interrupt);
}

void check_interrupt_state(const MachineInfo& machine) {
  const u32 unused = gic.interrupt_count() - 1;
  expect(!gic.is_enabled(unused) && !gic.is_pending(unused), "an SPI is not in its initial state");
  gic.route(unused, 0);
  gic.set_pending(unused, true);
  expect(gic.is_pending(unused), "an SPI did not become pending");
  gic.set_pending(unused, false);
  expect(!gic.is_pending(unused), "an SPI stayed pending");
  log::print_line("GICv{}: {} interrupts, {} CPUs in the tree", gic.version(), gic.interrupt_count(), machine.cpus.size());
}

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard};

}  // namespace

void selftest::kick(unsigned index) { gic.send_ipi(index, kTestSgi); }
void selftest::breakpoint() { asm volatile("brk #1"); }

namespace platform {

void main_on_boot_cpu(MachineInfo& machine) {
  const u64 ticks = timer::now();
  print_machine(machine);
  log::print_line("counter at the first line of the program: {}", ticks);
  check_memory_map(machine, kGuards);
  expect((arch::SCTLR_EL2::read() & arch::SCTLR_EL2::WXN) != 0, "WXN is off");
  check_memory(machine);
  check_stacks();

  map_interrupt_controller(machine.gic);
  gic.attach(machine.gic, machine.cpus);
  gic.init_distributor();
  expect(gic.init_cpu(0), "the GIC's CPU interface");
  set_stop_hook([] {
    for (unsigned i = 0; i <= started; ++i) {
      if (i != arch::cpu_index()) gic.send_ipi(i, kStopSgi);
    }
  });
  check_interrupt_state(machine);
  enable_timer(machine.timer);
  check_timer();
  check_virtual_interface(machine.gic);
  start_secondaries(machine);
  check_invalidation();
  die_if_asked(machine.command_line);
  log::print_line("selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned index) {
  expect(gic.init_cpu(index), "a secondary CPU's GIC interface");
  run_secondary(index);
}

void handle_interrupt() {
  const drivers::AcknowledgedInterrupt interrupt = gic.acknowledge();
  if (interrupt.spurious()) return;
  if (interrupt.id == machine().timer.hypervisor_interrupt) {
    timer::cancel_deadline();
    timer_interrupts.fetch_add(1);
  }
  gic.end_of_interrupt(interrupt.token);
  gic.deactivate(interrupt.token);
  if (interrupt.id == kStopSgi) stop_if_panicking();
  if (interrupt.id == kTestSgi) take_kick();
}

}  // namespace platform
}  // namespace ax
