// From boot.S to the program: what is true of the machine at each step is what the next one relies on.
#include <arch/cpu.hpp>
#include <arch/cpuid.hpp>
#include <arch/port.hpp>
#include <arch/timer.hpp>

#include "kernel/drivers/hpet.hpp"
#include "kernel/drivers/pit.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/common/start.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/boot_info.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/descriptor_tables.hpp"
#include "platforms/x86-qemu-q35/discovery.hpp"
#include "platforms/x86-qemu-q35/root.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

/// Root of the final tables, for CPUs on their way from the trampoline.
extern "C" {
constinit ax::u64 ax_root_table = 0;
}

namespace ax::platform {
namespace {

/// COM1, where every PC has it.
constexpr u16 kConsolePort = 0x3f8;
constexpr u32 kConsoleInterrupt = 4;
constexpr u64 kConsolePorts = 8;

/// What the early tables map.
class EarlyWindow final : public mm::PhysicalWindow {
 public:
  std::span<const std::byte> read(Hpa address, u64 size) const override {
    constexpr u64 kEnd = u64{EARLY_DIRECTORIES} * 1_GiB;
    if (address == Hpa(0) || address.value() >= kEnd || size > kEnd - address.value()) return {};
    return {reinterpret_cast<const std::byte*>(address.value()), size};
  }
};

BootFacts boot_facts() {
  constexpr u32 kFeatures = 1, kExtendedTopology = 0x0b, kEcxX2apic = 1 << 21;
  const arch::CpuidResult features = arch::cpuid(kFeatures);
  const bool has_x2apic = (features.ecx & kEcxX2apic) != 0;
  return {has_x2apic ? arch::cpuid(kExtendedTopology).edx : features.ebx >> 24, has_x2apic};
}

void describe_boot_cpu() {
  percpu::PerCpu& cpu = *percpu::of(0);
  cpu.index = 0;
  cpu.stack_top = address_of(ax_boot_stack_top).value();
  cpu.hardware_id = boot_facts().boot_apic_id;
  cpu.stack_size = BOOT_STACK_SIZE;
  cpu.emergency_stack_top = address_of(ax_boot_emergency_stack_top).value();
  load_descriptor_tables(cpu, address_of(ax_boot_nmi_stack_top).value());
}

void open_console(Root& root) {
  root.machine.console = {.kind = ConsoleInfo::Kind::Uart16550,
                          .registers = {Hpa(kConsolePort), kConsolePorts},
                          .is_port = true,
                          .interrupt = kConsoleInterrupt};
  root.uart = drivers::Uart16550Ports(kConsolePort);
  root.uart.init();
  log::set_console(root.uart);
}

/// While the low pages are still writable: the final map leaves reserved ones out.
void prepare_trampoline(Root& root, Hpa page) {
  if (page == Hpa(0)) return;
  __builtin_memcpy(reinterpret_cast<void*>(page.value()), ax_trampoline, static_cast<usize>(ax_trampoline_end - ax_trampoline));
  root.trampoline = page;
}

void discover_machine(Root& root, u32 magic, Hpa address) {
  const EarlyWindow memory;
  MachineInfo& machine = root.machine;
  machine.image = {address_of(__image_start), static_cast<u64>(__image_end - __image_start)};
  const Result<BootInfo> info = read_boot_info(memory, magic, address, root.texts);
  if (!info) {
    log::error("the boot loader's information (magic {:#x}): {}", magic, info.error());
    panic("no usable information from the boot loader");
  }
  DiscoveryFindings findings;
  const Result<void> discovered = discover(memory, *info, boot_facts(), machine, findings);
  for (std::string_view warning : findings.warnings) log::warn("{}", warning);
  require(discovered, "the memory map is too fragmented");
  prepare_trampoline(root, findings.trampoline);
}

void switch_to_final_tables(Root& root) {
  TablePool pool(ax_table_pool, TABLE_POOL_FRAMES);
  const Result<HostTable> table = build_final_table(pool, root.machine);
  require(table, "the memory map does not fit the boot tables");
  ax_root_table = table->root().value();
  root.space.adopt(*table);
  arch::CR3::write(ax_root_table);
}

/// The 8259 pair speaks on vectors that belong to exceptions, whoever set it up.
void silence_8259() {
  constexpr u16 kMasks[] = {0x21, 0xa1};
  for (u16 port : kMasks) arch::port_write8(port, 0xff);
}

/// Frequencies as the CPU gives them; what it leaves out is measured.
drivers::host_timer::Frequencies find_frequencies(Root& root) {
  namespace timer = drivers::host_timer;
  const timer::Frequencies announced = timer::announced_frequencies();
  if (announced.tsc != 0 && announced.apic_timer != 0) return announced;
  std::optional<timer::Frequencies> measured;
  const HpaRange registers{root.machine.pc.hpet, 1_KiB};
  if (registers.base != Hpa(0) && map_device(registers)) {
    drivers::Hpet hpet(registers.base);
    measured = timer::measure_frequencies(hpet, root.apic);
  }
  if (!measured) {
    drivers::Pit pit;
    measured = timer::measure_frequencies(pit, root.apic);
  }
  if (!measured || measured->tsc == 0) panic("neither HPET nor PIT counts: the time-stamp counter cannot be calibrated");
  return {announced.tsc != 0 ? announced.tsc : measured->tsc, measured->apic_timer};
}

void start_interrupts_and_clock(Root& root) {
  if (root.machine.pc.has_8259) silence_8259();
  root.apic.attach(root.machine.pc.local_apic.base);
  require(root.apic.init_cpu(), "the local APIC is switched off");
  root.running = 1;
  drivers::host_timer::init(root.apic, find_frequencies(root));
  drivers::host_timer::init_cpu();
  root.machine.timer.frequency_hz = drivers::host_timer::frequency();
  log::set_clock(microseconds);
}

}  // namespace
}  // namespace ax::platform

/// Called by boot.S with the early tables in use; `magic` tells the boot protocol, `info` is what it passed.
extern "C" [[noreturn]] void ax_start_boot_cpu(ax::u32 magic, ax::u32 info) {
  using namespace ax::platform;
  describe_boot_cpu();
  reset_cpu_state();
  ax::set_panic_hook([](const char* message) { panic(message); });
  set_stop_hook(interrupt_other_cpus);
  Root& root = Root::instance();
  open_console(root);
  discover_machine(root, magic, ax::Hpa(info));
  switch_to_final_tables(root);
  ax::log::enable_locking();
  give_out_memory(root.machine, root.frames, {ax::Hpa(0), AX_FIRST_FRAME});
  start_interrupts_and_clock(root);
  main_on_boot_cpu(root.machine);
}

/// Called by boot.S with the final tables in use.
extern "C" [[noreturn]] void ax_start_secondary_cpu(ax::percpu::PerCpu* cpu) {
  using namespace ax::platform;
  Root& root = Root::instance();
  load_descriptor_tables(*cpu, root.nmi_stacks[cpu->index]);
  reset_cpu_state();
  require(root.apic.init_cpu(), "a local APIC is switched off");
  ax::drivers::host_timer::init_cpu();
  root.running.fetch_or(ax::u64{1} << cpu->index);
  ax::arch::Tlb::reload_cr3();  // what others have invalidated before they knew of this CPU
  main_on_secondary_cpu(cpu->index);
}
