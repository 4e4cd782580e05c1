// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor
// interrupts, timer, stacks. Ends with `selftest: passed` and a power-off, or with a panic.
//
// The command line may name a way to die, or to end, instead: see kDeaths.
#include <arch/cpu.hpp>
#include <arch/port.hpp>
#include <arch/timer.hpp>
#include <atomic>

#include "kernel/drivers/io_apic.hpp"
#include "kernel/drivers/pci_ecam.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/root.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax {
namespace {

namespace timer = drivers::host_timer;
namespace vector = drivers::host_vector;

constexpr u64 kPatience = 5;  // seconds

constinit drivers::LocalApic apic;
constinit std::atomic<u32> started{0};
constinit std::atomic<u32> ipis{0};
constinit std::atomic<u32> timer_interrupts{0};
constinit std::atomic<u32> line_interrupts{0};
constinit std::atomic<void (*)()> errand{nullptr};  ///< what a secondary CPU runs when the kick comes

void expect(bool condition, const char* what) {
  if (!condition) platform::panic(what);
}

template <class T>
void expect(const Result<T>& result, const char* what) {
  if (result) return;
  log::print_line("selftest: {}: {}", std::string_view(what), result.error());
  platform::panic(what);
}

template <class Condition>
void wait_for(Condition condition, const char* what) {
  const u64 deadline = timer::now() + kPatience * timer::frequency();
  while (!condition()) {
    expect(timer::now() < deadline, what);
    arch::take_pending_interrupts();
  }
}

void print_machine(const MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  log::print_line("image {:#x}..{:#x}, {} CPUs, command line \"{}\"", machine.image.base, machine.image.end(),
                  machine.cpus.size(), machine.command_line);
  for (const HpaRange& ram : machine.ram) log::print_line("RAM {:#x}..{:#x}", ram.base, ram.end());
  for (const HpaRange& range : machine.reserved) log::print_line("reserved {:#x}..{:#x}", range.base, range.end());
  for (const ModuleInfo& module : machine.modules)
    log::print_line("module {:#x}, {:#x} bytes: {}", module.data.base, module.data.size, module.name);
  const PcInfo& pc = machine.pc;
  log::print_line("local APIC at {:#x}, x2APIC {}, {} I/O APICs, {} overrides, HPET at {:#x}, {} PCI segments",
                  pc.local_apic.base, apic.is_x2apic(), pc.io_apics.size(), pc.overrides.size(), pc.hpet,
                  pc.pci.size());
  log::print_line("TSC {} Hz, PM1a control at {:#x}, S5 {}", timer::frequency(), pc.power.pm1a_control_port,
                  pc.soft_off.has_value());
}

bool is_mapped(u64 address) { return platform::translate(Hva(address)).has_value(); }
bool is_mapped(const char* symbol) { return is_mapped(platform::address_of(symbol).value()); }

/// No leaf may be writable and executable, text is the only executable range, and the expected holes are holes.
void check_memory_map() {
  u64 executable = 0, writable = 0, device = 0, leaves = 0;
  platform::walk_memory_map([&](const mm::MappedLeaf<Hva>& leaf) {
    expect(!(leaf.attributes.write && leaf.attributes.execute), "a leaf is writable and executable");
    expect(leaf.range.base.value() == leaf.target.value() || leaf.range.base.value() >= platform::StackWindow::kBase,
           "a leaf outside the stack window is not an identity map");
    ++leaves;
    executable += leaf.attributes.execute ? leaf.range.size : 0;
    writable += leaf.attributes.write ? leaf.range.size : 0;
    device += leaf.attributes.type == mm::MemoryType::Device ? leaf.range.size : 0;
  });
  log::print_line("memory map: {} leaves, executable {:#x}, writable {:#x}, device {:#x} bytes", leaves, executable,
                  writable, device);
  expect(executable == static_cast<u64>(__text_end - __image_start), "something besides the text is executable");
  expect(!is_mapped(ax_boot_stack_guard), "the boot stack's guard page is mapped");
  expect(!is_mapped(ax_boot_emergency_stack_guard), "the emergency stack's guard page is mapped");
  expect(!is_mapped(ax_boot_nmi_stack_guard), "the NMI stack's guard page is mapped");
  expect(!is_mapped(u64{0}), "page 0 is mapped");
  expect((arch::CR0::read() & arch::CR0::WP) != 0, "read-only pages can be written");
  expect((arch::IA32_EFER::read() & arch::IA32_EFER::NXE) != 0, "every page can be executed");
}

/// The last page of each range of RAM holds what is written to it.
void check_memory(const MachineInfo& machine) {
  for (const HpaRange& ram : machine.ram) {
    const Hpa page = ram.end() - kPageSize;
    if (!platform::frames().lock()->allocate_at({page, kPageSize}, mm::Owner::host()))
      continue;  // somebody's, or reserved
    volatile u64* const word = reinterpret_cast<volatile u64*>(page.value());
    *word = page.value();
    expect(*word == page.value(), "memory does not keep its contents");
    platform::frames().lock()->free({page, kPageSize}, mm::Owner::host());
  }
}

/// A stack has a hole below it, works, and leaves nothing behind.
void check_stacks() {
  const u64 free_before = platform::frames().lock()->free_bytes();
  constexpr u64 kSize = 3 * kPageSize;
  const Result<Hva> first = platform::allocate_stack(kSize);
  expect(first, "no stack");
  platform::free_stack(*first, kSize);
  // Tables of the window stay as long as it is used at all, so the count is compared from the second time on.
  const u64 free_between = platform::frames().lock()->free_bytes();
  const Result<Hva> top = platform::allocate_stack(kSize);
  expect(top, "no second stack");
  *reinterpret_cast<volatile u64*>((*top - kSize).value()) = 1;
  expect(!is_mapped((*top - kSize - 1).value()), "a stack has no guard page");
  platform::free_stack(*top, kSize);
  expect(!is_mapped((*top - 1).value()), "a freed stack is still mapped");
  expect(platform::frames().lock()->free_bytes() == free_between, "stacks leak frames");
  expect(platform::allocate_stack(platform::StackWindow::kLargestStack + 1).error() == Error::InvalidArgument,
         "a stack that does not fit was accepted");
  log::print_line("stacks: free memory {:#x} before, {:#x} after", free_before, free_between);
}

void check_timer() {
  const u64 start = timer::now();
  timer::set_deadline(start + timer::frequency() / 1000);
  // A deadline that is far away may be announced early, one of a millisecond not.
  wait_for([] { return timer_interrupts == 1; }, "no timer interrupt");
  expect(timer::now() - start >= timer::frequency() / 1000, "the timer interrupt came early");
  timer::set_deadline(0);
  wait_for([] { return timer_interrupts == 2; }, "a deadline that has passed raised no interrupt");
  // Far enough away that it is cancelled in time, however busy the machine is that emulates this one.
  const u64 cancelled = timer::now() + timer::frequency() / 2;
  timer::set_deadline(cancelled);
  timer::cancel_deadline();
  const u64 patience = cancelled + timer::frequency() / 100;
  wait_for([&] { return timer::now() > patience; }, "time stands still");
  expect(timer_interrupts == 2, "a cancelled deadline raised an interrupt");
}

/// The console's own interrupt through an I/O APIC: its transmitter is always ready to raise one.
void check_line(const MachineInfo& machine) {
  const acpi::InterruptOverride line = machine.pc.route(static_cast<u8>(machine.console.interrupt));
  for (const acpi::IoApic& info : machine.pc.io_apics) {
    expect(platform::map_device(info.registers), "mapping an I/O APIC");
    expect(platform::map_device(info.registers), "mapping an I/O APIC once more");
    drivers::IoApic io_apic(info.registers.base, info.gsi_base);
    io_apic.init();
    log::print_line("I/O APIC {} at {:#x}: {} pins from {}", info.id, info.registers.base, io_apic.pins(),
                    info.gsi_base);
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

void kick(unsigned index) { apic.send(static_cast<u32>(platform::machine().cpus[index].hardware_id), vector::kKick); }

void start_secondaries(const MachineInfo& machine) {
  u32 expected = 0;
  for (unsigned i = 1; i < machine.cpus.size() && i < board::kMaxCpus; ++i) {
    expect(platform::start_cpu(i), "start_cpu");
    ++expected;
    wait_for([&] { return started == expected; }, "a secondary CPU did not start");
  }
  expect(platform::start_cpu(0).error() == Error::InvalidArgument, "the boot CPU was started again");
  if (expected != 0) expect(platform::start_cpu(1).error() == Error::AlreadyExists, "a running CPU was started again");
  for (unsigned i = 1; i <= expected; ++i) {
    kick(i);
    wait_for([&] { return ipis == i; }, "an inter-processor interrupt was lost");
  }
  log::print_line("CPUs: {} started, {} inter-processor interrupts", expected + 1, ipis.load());
}

constinit std::atomic<u64> shared_address{0};
constinit std::atomic<u64> seen_value{0};

/// What another CPU reads at `address`.
u64 read_elsewhere(unsigned index, Hva address) {
  seen_value = 0;
  shared_address = address.value();
  errand = [] { seen_value = *reinterpret_cast<const volatile u64*>(shared_address.load()); };
  kick(index);
  wait_for([] { return seen_value != 0; }, "another CPU did not answer");
  errand = nullptr;
  return seen_value;
}

/// A CPU that knows an address must not go on using the frame behind it when it leads to another one.
void check_invalidation() {
  if (started == 0) return;
  const auto make = [](u64 value) {
    const Result<Hva> top = platform::allocate_stack(kPageSize);
    expect(top, "no stack");
    *reinterpret_cast<volatile u64*>((*top - sizeof(u64)).value()) = value;
    return *top;
  };
  const Hva first = make(1);
  const Hpa first_frame = platform::translate(first - kPageSize)->address;
  expect(read_elsewhere(1, first - sizeof(u64)) == 1, "another CPU reads something else");
  platform::free_stack(first, kPageSize);
  expect(platform::frames().lock()->allocate_at({first_frame, kPageSize}, mm::Owner::host()),
         "a freed frame is not free");
  const Hva second = make(2);
  expect(first == second, "the place of a freed stack is not used again");
  expect(read_elsewhere(1, second - sizeof(u64)) == 2, "another CPU kept a translation that is gone");
  platform::free_stack(second, kPageSize);
  platform::frames().lock()->free({first_frame, kPageSize}, mm::Owner::host());
}

// ---- deliberate deaths ----

[[gnu::noinline]] u64 recurse(u64 depth) {
  volatile u64 local[32] = {depth};
  return depth == 0 ? 0 : recurse(depth + 1) + local[depth % 32];
}
void die_of_overflow() { static_cast<void>(recurse(1)); }
void die_of_abort() { *reinterpret_cast<volatile u64*>(platform::StackWindow::kBase - kPageSize) = 1; }
void die_of_panic() { platform::panic("asked for on the command line"); }
void die_of_breakpoint() { asm volatile("int3"); }
void die_of_text_write() { *const_cast<volatile char*>(__image_start) = 0; }
void die_of_data_execution() { reinterpret_cast<void (*)()>(reinterpret_cast<u64>(&apic))(); }
void die_of_check() { AX_CHECK(ipis == ~u32{0}); }
void end_by_reset() {
  log::print_line("selftest: resetting");
  platform::reset();
}

struct Death {
  std::string_view option;
  void (*die)();
};
constexpr Death kDeaths[] = {
    {"selftest=overflow", die_of_overflow}, {"selftest=abort", die_of_abort},
    {"selftest=panic", die_of_panic},       {"selftest=brk", die_of_breakpoint},
    {"selftest=text", die_of_text_write},   {"selftest=execute", die_of_data_execution},
    {"selftest=check", die_of_check},       {"selftest=reset", end_by_reset},
};

/// Dies on the last CPU, so that with several of them the report has to stop others.
void die_if_asked(std::string_view command_line) {
  for (const Death& death : kDeaths) {
    if (command_line.find(death.option) == std::string_view::npos) continue;
    if (started == 0) {
      death.die();
    } else {
      errand = death.die;
      kick(started);
      wait_for([] { return false; }, "the other CPU survived");
    }
    log::print_line("selftest: survived {}", death.option);
    platform::power_off();
  }
}

}  // namespace

namespace platform {

void main_on_boot_cpu(MachineInfo& machine) {
  const u64 ticks = timer::now();
  apic.attach(machine.pc.local_apic.base);
  print_machine(machine);
  log::print_line("counter at the first line of the program: {}", ticks);
  check_memory_map();
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
  const percpu::PerCpu& cpu = percpu::this_cpu();
  expect(is_mapped(cpu.stack_top - 1) && !is_mapped(cpu.stack_top - cpu.stack_size - 1),
         "a secondary CPU's stack has no guard");
  expect(apic.id() == cpu.hardware_id, "a CPU with another APIC id was started");
  log::print_line("CPU {} runs, hardware id {:#x}", index, cpu.hardware_id);
  started.fetch_add(1);
  for (;;) arch::wait_for_interrupt();
}

void handle_interrupt() {
  const u64 number = percpu::this_cpu().vector;
  if (number == vector::kSpurious) return;
  if (number == vector::kTimer) timer_interrupts.fetch_add(1);
  if (number == vector::kFirstLine) line_interrupts.fetch_add(1);
  if (number == vector::kKick) ipis.fetch_add(1);
  void (*const run)() = number == vector::kKick ? errand.load() : nullptr;
  apic.end_of_interrupt();
  if (run != nullptr) run();
}

}  // namespace platform
}  // namespace ax
