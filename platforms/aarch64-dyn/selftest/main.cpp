// Checks the platform from inside, on whatever machine it was booted: memory map, secondary CPUs, inter-processor interrupts,
// timer, stacks. Ends with `selftest: passed` and a power-off, or with a panic.
//
// The command line (/chosen/bootargs) may name a way to die instead: see kDeaths.
#include <arch/cpu.hpp>
#include <atomic>

#include "kernel/drivers/generic_timer.hpp"
#include "kernel/drivers/gic.hpp"
#include "kernel/drivers/gic_virtual.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/aarch64-dyn/root.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"
#include "platforms/platform.hpp"

namespace ax {
namespace {

namespace timer = drivers::generic_timer;

constexpr u32 kTestSgi = 1, kStopSgi = 15;
constexpr u64 kPatience = 5;  // seconds

constinit drivers::Gic gic;
constinit std::atomic<u32> started{0};
constinit std::atomic<u32> ipis{0};
constinit std::atomic<u32> timer_interrupts{0};
constinit std::atomic<void (*)()> errand{nullptr};  ///< what a secondary CPU runs when the test interrupt comes

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
    arch::cpu_relax();
  }
}

void print_machine(const MachineInfo& machine) {
  log::print_line("selftest: {} on {}", machine.model, board::kName);
  log::print_line("image {:#x}..{:#x}, linked for {:#x}, {} CPUs, command line \"{}\"", machine.image.base, machine.image.end(),
                  ax_link_address(), machine.cpus.size(), machine.command_line);
  for (const HpaRange& ram : machine.ram) log::print_line("RAM {:#x}..{:#x}", ram.base, ram.end());
  for (const HpaRange& range : machine.reserved) log::print_line("reserved {:#x}..{:#x}", range.base, range.end());
  log::print_line("GICv{} at {:#x}, console {} at {:#x}, timer {} Hz, PSCI conduit {}", machine.gic.version,
                  machine.gic.distributor.base, machine.console.kind, machine.console.registers.base,
                  machine.timer.frequency_hz, machine.psci);
}

bool is_mapped(u64 address) { return platform::translate(Hva(address)).has_value(); }

/// No leaf may be writable and executable, text is the only executable range, and the expected holes are holes.
void check_memory_map(const MachineInfo& machine) {
  u64 executable = 0, writable = 0, device = 0, leaves = 0;
  const HpaRange tree{platform::address_of(machine.fdt.data()), machine.fdt.size()};
  platform::walk_memory_map([&](const mm::MappedLeaf<Hva>& leaf) {
    expect(!(leaf.attributes.write && leaf.attributes.execute), "a leaf is writable and executable");
    expect(leaf.range.base.value() == leaf.target.value() || leaf.range.base.value() >= platform::StackWindow::kBase,
           "a leaf outside the stack window is not an identity map");
    expect(!HpaRange{leaf.target, leaf.range.size}.overlaps(tree) || !leaf.attributes.write, "the device tree is writable");
    ++leaves;
    executable += leaf.attributes.execute ? leaf.range.size : 0;
    writable += leaf.attributes.write ? leaf.range.size : 0;
    device += leaf.attributes.type == mm::MemoryType::Device ? leaf.range.size : 0;
  });
  log::print_line("memory map: {} leaves, executable {:#x}, writable {:#x}, device {:#x} bytes", leaves, executable, writable,
                  device);
  expect(executable == static_cast<u64>(__text_end - __image_start), "something besides the text is executable");
  expect(!is_mapped(platform::address_of(ax_boot_stack_guard).value()), "the boot stack's guard page is mapped");
  expect(!is_mapped(platform::address_of(ax_boot_emergency_stack_guard).value()), "the emergency stack's guard page is mapped");
  expect((arch::SCTLR_EL2::read() & arch::SCTLR_EL2::WXN) != 0, "WXN is off");
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

void check_timer(const TimerInfo& info) {
  gic.set_trigger(info.hypervisor_interrupt, drivers::Trigger::Level);
  gic.enable(info.hypervisor_interrupt);
  const u64 start = timer::now();
  timer::set_deadline(start + timer::frequency() / 1000);
  arch::irq_enable();
  wait_for([] { return timer_interrupts == 1; }, "no timer interrupt");
  arch::irq_disable();
  expect(timer::now() - start >= timer::frequency() / 1000, "the timer interrupt came early");
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
    gic.send_ipi(i, kTestSgi);
    wait_for([&] { return ipis == i; }, "an inter-processor interrupt was lost");
  }
  log::print_line("CPUs: {} started, {} inter-processor interrupts", expected + 1, ipis.load());
}

// ---- deliberate deaths ----

[[gnu::noinline]] u64 recurse(u64 depth) {
  volatile u64 local[32] = {depth};
  return depth == 0 ? 0 : recurse(depth + 1) + local[depth % 32];
}
void die_of_overflow() { static_cast<void>(recurse(1)); }
void die_of_abort() { *reinterpret_cast<volatile u64*>(platform::StackWindow::kBase - kPageSize) = 1; }
void die_of_panic() { platform::panic("asked for on the command line"); }
void die_of_brk() { asm volatile("brk #1"); }
void die_of_text_write() { *const_cast<volatile char*>(__image_start) = 0; }
void die_of_check() { AX_CHECK(ipis == ~u32{0}); }

struct Death {
  std::string_view option;
  void (*die)();
};
constexpr Death kDeaths[] = {
    {"selftest=overflow", die_of_overflow}, {"selftest=abort", die_of_abort},     {"selftest=panic", die_of_panic},
    {"selftest=brk", die_of_brk},           {"selftest=text", die_of_text_write}, {"selftest=check", die_of_check},
};

/// Dies on the last CPU, so that with several of them the report has to stop others.
void die_if_asked(std::string_view command_line) {
  for (const Death& death : kDeaths) {
    if (command_line.find(death.option) == std::string_view::npos) continue;
    if (started == 0) {
      death.die();
    } else {
      errand = death.die;
      gic.send_ipi(started, kTestSgi);
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
  print_machine(machine);
  log::print_line("counter at the first line of the program: {}", ticks);
  check_memory_map(machine);
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
  check_timer(machine.timer);
  check_virtual_interface(machine.gic);
  start_secondaries(machine);
  die_if_asked(machine.command_line);
  log::print_line("selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned index) {
  expect(gic.init_cpu(index), "a secondary CPU's GIC interface");
  const percpu::PerCpu& cpu = percpu::this_cpu();
  expect(is_mapped(cpu.stack_top - 1) && !is_mapped(cpu.stack_top - cpu.stack_size - 1), "a secondary CPU's stack has no guard");
  log::print_line("CPU {} runs, hardware id {:#x}", index, cpu.hardware_id);
  started.fetch_add(1);
  for (;;) {
    arch::wait_for_interrupt();
    arch::irq_enable();
    arch::isb();
    arch::irq_disable();
  }
}

void handle_interrupt() {
  const drivers::AcknowledgedInterrupt interrupt = gic.acknowledge();
  if (interrupt.spurious()) return;
  if (interrupt.id == machine().timer.hypervisor_interrupt) {
    timer::cancel_deadline();
    timer_interrupts.fetch_add(1);
  }
  if (interrupt.id == kTestSgi) ipis.fetch_add(1);
  void (*const run)() = interrupt.id == kTestSgi ? errand.load() : nullptr;
  gic.end_of_interrupt(interrupt.token);
  gic.deactivate(interrupt.token);
  if (interrupt.id == kStopSgi) stop_if_panicking();
  if (run != nullptr) run();
}

}  // namespace platform
}  // namespace ax
