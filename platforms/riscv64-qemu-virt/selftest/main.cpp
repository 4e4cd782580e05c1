// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor interrupts,
// timer, stacks, PLIC, the firmware's console. Ends with `selftest: passed` and a power-off, or with a panic.
//
// The command line (/chosen/bootargs) may name a way to die instead: see selftest::kDeaths.
#include <arch/mmio.hpp>

#include "kernel/drivers/plic.hpp"
#include "kernel/drivers/sbi.hpp"
#include "platforms/common/selftest.hpp"
#include "platforms/common/start.hpp"
#include "platforms/riscv64-qemu-virt/symbols.hpp"

namespace ax {
namespace {

using namespace selftest;

constinit drivers::Plic plic;
constinit std::atomic<u32> line_interrupts{0};

void print_machine(const MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  log::print_line("image {:#x}..{:#x}, linked for {:#x}, {} CPUs, hart {} boots, command line \"{}\"", machine.image.base,
                  machine.image.end(), ax_link_address(), machine.cpus.size(), machine.cpus[0].hardware_id, machine.command_line);
  print_ranges(machine);
  log::print_line("PLIC at {:#x}, {} sources, context {}; console {} at {:#x}, interrupt {}; timer {} Hz{}",
                  machine.plic.registers.base, machine.plic.sources, machine.cpus[0].plic_context, machine.console.kind,
                  machine.console.registers.base, machine.console.interrupt, machine.timer.frequency_hz,
                  timer::detail::has_deadline_register ? ", Sstc" : "");
}

/// The console's own interrupt: its transmitter is always ready to raise one.
void check_line(const MachineInfo& machine) {
  if (machine.plic.sources == 0 || machine.console.interrupt == 0) return;
  expect(platform::map_device(machine.plic.registers), "mapping the PLIC");
  plic.attach(machine.plic, machine.cpus);
  plic.init_cpu(0);
  plic.enable(machine.console.interrupt, 0);
  arch::SIE::set(arch::InterruptBit::External);
  constexpr u64 kInterruptEnable = 1;
  constexpr u8 kTransmitterInterrupt = 1 << 1;
  const u64 enable = machine.console.registers.base.value() + (kInterruptEnable << machine.console.register_shift);
  arch::mmio_write8(enable, kTransmitterInterrupt);
  wait_for([] { return line_interrupts != 0; }, "no interrupt from the console");
  arch::mmio_write8(enable, 0);
  plic.disable(machine.console.interrupt, 0);
}

void check_firmware_console() {
  drivers::SbiConsole console;
  console.init();
  console.write("firmware console: works\n");
}

/// What the program may do on every CPU.
void check_floating_point() { expect((arch::SSTATUS::read() & arch::SSTATUS::FS) != 0, "floating point is off"); }

/// The entry that maps the page at `address`.
u64* entry_of(Hva address) {
  using Format = mm::RiscvSv39Format;
  Hpa table((arch::SATP::read() & arch::SATP::kFrameMask) << kPageShift);
  for (unsigned height = Format::root_height();; --height) {
    u64* const entry = reinterpret_cast<u64*>(table.value()) + (address.value() >> (kPageShift + 9 * height)) % mm::kTableEntries;
    if (Format::is_leaf(*entry, height)) return entry;
    table = Format::output(*entry);
  }
}

constinit u64* broken_entry = nullptr;
constexpr u64 kReservedBit = u64{1} << 54;

/// A CPU that faults although the tables allow the access tries again. Here it is the entry that it does not like, as long as a bit
/// is set that is not looked at; an interrupt clears it, and everything goes on.
void check_outdated_entry() {
  const Result<Hva> top = platform::allocate_stack(kPageSize);
  expect(top, "no stack");
  const Hva page = *top - kPageSize;
  broken_entry = entry_of(page);
  *broken_entry |= kReservedBit;
  arch::Tlb::sfence_vma(page);
  const u64 start = timer::now();
  timer::set_deadline(start + timer::frequency() / 1000);
  arch::irq_enable();
  *reinterpret_cast<volatile u64*>(page.value()) = start;
  arch::irq_disable();
  expect(timer::now() - start >= timer::frequency() / 1000, "a reserved bit makes no fault");
  expect(*reinterpret_cast<volatile u64*>(page.value()) == start, "an access that was tried again did something else");
  platform::free_stack(*top, kPageSize);
}

/// Every other CPU starts as OpenSBI may start it: where and with what it has started the boot CPU.
Result<void> start_here_or_there(unsigned index) {
  if (index % 2 == 0) return platform::start_cpu(index);
  constexpr u64 kEmergencyStack = 2 * kPageSize;
  const percpu::PerCpu* cpu = TRY(platform::prepare_cpu(index, kEmergencyStack));
  arch::fence();
  return drivers::sbi::start_hart(cpu->hardware_id, platform::address_of(__image_start),
                                  platform::address_of(platform::machine().fdt.data()).value());
}

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard};

}  // namespace

void selftest::kick(unsigned index) { drivers::sbi::send_interrupt(platform::machine().cpus[index].hardware_id); }
void selftest::breakpoint() { asm volatile("ebreak"); }

namespace platform {

void main_on_boot_cpu(MachineInfo& machine) {
  const u64 ticks = timer::now();
  print_machine(machine);
  log::print_line("counter at the first line of the program: {}", ticks);
  check_firmware_console();
  check_floating_point();
  check_memory_map(machine, kGuards);
  check_memory(machine);
  check_stacks();
  set_stop_hook([] {
    for (unsigned i = 0; i <= started; ++i) {
      if (i != arch::cpu_index()) kick(i);
    }
  });
  arch::SIE::set(arch::InterruptBit::Timer | arch::InterruptBit::Software);
  check_timer();
  check_outdated_entry();
  check_line(machine);
  start_secondaries(machine, start_here_or_there);
  check_invalidation();
  die_if_asked(machine.command_line);
  log::print_line("selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned index) {
  arch::SIE::set(arch::InterruptBit::Software);
  check_floating_point();
  run_secondary(index);
}

void handle_interrupt() {
  const u64 pending = arch::SIP::read() & arch::SIE::read();
  if ((pending & arch::InterruptBit::Timer) != 0) {
    timer::cancel_deadline();
    if (broken_entry != nullptr) *broken_entry &= ~kReservedBit;
    timer_interrupts.fetch_add(1);
  }
  if ((pending & arch::InterruptBit::External) != 0) {
    const unsigned cpu = arch::cpu_index();
    const u32 source = plic.claim(cpu);
    if (source == machine().console.interrupt) line_interrupts.fetch_add(1);
    // The port goes on asking until it is told not to: what it asks for is known by now.
    if (source != 0) plic.disable(source, cpu);
    if (source != 0) plic.complete(cpu, source);
  }
  if ((pending & arch::InterruptBit::Software) != 0) {
    arch::SIP::clear(arch::InterruptBit::Software);
    stop_if_panicking();
    take_kick();
  }
}

}  // namespace platform
}  // namespace ax
