// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor
// interrupts, timer, stacks. Ends with `selftest: passed` and a power-off, or with a panic.
//
// The command line may name a way to die, or to end, instead: see selftest::kDeaths.
#include <arch/port.hpp>

#include "kernel/drivers/io_apic.hpp"
#include "kernel/drivers/pci_ecam.hpp"
#include "platforms/common/selftest.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax {
namespace {

using namespace selftest;
namespace vector = drivers::host_vector;

constinit drivers::LocalApic apic;
constinit std::atomic<u32> line_interrupts{0};

void print_machine(const MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  log::print_line("image {:#x}..{:#x}, {} CPUs, command line \"{}\"", machine.image.base, machine.image.end(),
                  machine.cpus.size(), machine.command_line);
  print_ranges(machine);
  for (const ModuleInfo& module : machine.modules)
    log::print_line("module {:#x}, {:#x} bytes: {}", module.data.base, module.data.size, module.name);
  const PcInfo& pc = machine.pc;
  log::print_line("local APIC at {:#x}, x2APIC {}, {} I/O APICs, {} overrides, HPET at {:#x}, {} PCI segments",
                  pc.local_apic.base, apic.is_x2apic(), pc.io_apics.size(), pc.overrides.size(), pc.hpet, pc.pci.size());
  log::print_line("TSC {} Hz, PM1a control at {:#x}, S5 {}", timer::frequency(), pc.power.pm1a_control_port,
                  pc.soft_off.has_value());
}

void check_protection() {
  expect((arch::CR0::read() & arch::CR0::WP) != 0, "read-only pages can be written");
  expect((arch::IA32_EFER::read() & arch::IA32_EFER::NXE) != 0, "every page can be executed");
}

/// The console's own interrupt through an I/O APIC: its transmitter is always ready to raise one.
void check_line(const MachineInfo& machine) {
  const acpi::InterruptOverride line = machine.pc.route(static_cast<u8>(machine.console.interrupt));
  for (const acpi::IoApic& info : machine.pc.io_apics) {
    expect(platform::map_device(info.registers), "mapping an I/O APIC");
    expect(platform::map_device(info.registers), "mapping an I/O APIC once more");
    drivers::IoApic io_apic(info.registers.base, info.gsi_base);
    io_apic.init();
    log::print_line("I/O APIC {} at {:#x}: {} pins from {}", info.id, info.registers.base, io_apic.pins(), info.gsi_base);
    if (!io_apic.owns(line.gsi)) continue;
    const drivers::IoApic::Route route{.vector = vector::kFirstLine,
                                       .destination = static_cast<u8>(apic.id()),
                                       .active_low = line.active_low,
                                       .level = line.level,
                                       .masked = false};
    io_apic.set_route(line.gsi, route);
    expect(io_apic.route(line.gsi) == route, "an I/O APIC does not keep a route");
    constexpr u16 kInterruptEnable = 1;
    constexpr u8 kTransmitterInterrupt = 1 << 1;
    const u16 port = static_cast<u16>(machine.console.registers.base.value() + kInterruptEnable);
    arch::port_write8(port, kTransmitterInterrupt);
    wait_for([] { return line_interrupts != 0; }, "no interrupt from the console");
    arch::port_write8(port, 0);
    io_apic.set_masked(line.gsi, true);
  }
}

void check_pci(const MachineInfo& machine) {
  for (const acpi::PciSegment& segment : machine.pc.pci) {
    const drivers::PciEcam ecam(segment);
    const drivers::PciFunction host_bridge{.segment = segment.segment, .bus = segment.first_bus};
    expect(platform::map_device(*ecam.registers_of(host_bridge)), "mapping PCI configuration space");
    const Result<u32> id = ecam.read(host_bridge, 0, 4);
    expect(id, "reading PCI configuration space");
    expect(*id != ~u32{0}, "no host bridge");
    log::print_line("PCI segment {}, buses {}..{} at {:#x}: host bridge {:08x}", segment.segment, segment.first_bus,
                    segment.last_bus, segment.registers.base, *id);
  }
}

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard, ax_boot_nmi_stack_guard};

}  // namespace

void selftest::kick(unsigned index) { apic.send(static_cast<u32>(platform::machine().cpus[index].hardware_id), vector::kKick); }
void selftest::breakpoint() { asm volatile("int3"); }

namespace platform {

void main_on_boot_cpu(MachineInfo& machine) {
  const u64 ticks = timer::now();
  apic.attach(machine.pc.local_apic.base);
  print_machine(machine);
  log::print_line("counter at the first line of the program: {}", ticks);
  check_memory_map(machine, kGuards);
  check_protection();
  check_memory(machine);
  check_stacks();
  check_timer();
  check_line(machine);
  check_pci(machine);
  start_secondaries(machine);
  check_invalidation();
  die_if_asked(machine.command_line);
  log::print_line("selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned index) {
  expect(apic.id() == percpu::this_cpu().hardware_id, "a CPU with another APIC id was started");
  run_secondary(index);
}

void handle_interrupt() {
  const u64 number = percpu::this_cpu().vector;
  if (number == vector::kSpurious) return;
  if (number == vector::kTimer) timer_interrupts.fetch_add(1);
  if (number == vector::kFirstLine) line_interrupts.fetch_add(1);
  apic.end_of_interrupt();
  if (number == vector::kKick) take_kick();
}

}  // namespace platform
}  // namespace ax
