// From boot.S to the program: what is true of the machine at each step is what the next one relies on.
#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "kernel/fdt/format.hpp"
#include "kernel/fdt/reader.hpp"
#include "kernel/log/log.hpp"
#include "platforms/common/start.hpp"
#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/riscv64-qemu-virt/root.hpp"
#include "platforms/riscv64-qemu-virt/symbols.hpp"

namespace ax::platform {
namespace {

static_assert((arch::SSTATUS::FS_INITIAL | arch::SSTATUS::SUM) == SSTATUS_SET);
static_assert((arch::SSTATUS::SIE | arch::SSTATUS::FS | arch::SSTATUS::MXR) == SSTATUS_CLEARED);
static_assert(percpu::kEmergencyStackOffset == PER_CPU_EMERGENCY_STACK && percpu::kStackTopOffset == PER_CPU_STACK_TOP);
static_assert(offsetof(percpu::PerCpu, hardware_id) == PER_CPU_HARDWARE_ID && sizeof(percpu::PerCpu) == PER_CPU_SIZE);
static_assert(percpu::kVectorOffset == PER_CPU_SCRATCH && percpu::kAsleepOffset == arch::kAsleepOffset);

/// Translation is off: the tree can be read wherever it is.
std::span<const std::byte> device_tree_at(Hpa address) {
  if (address == Hpa(0) || !address.is_aligned(8)) return {};
  const auto* const begin = reinterpret_cast<const std::byte*>(address.value());
  return {begin, device_tree_size({begin, fdt::kHeaderSize})};
}

void describe_boot_cpu(u64 hart) {
  percpu::PerCpu& cpu = percpu::this_cpu();
  cpu.index = 0;
  cpu.hardware_id = hart;
  cpu.stack_size = BOOT_STACK_SIZE;
}

void use_console(Root& root, drivers::Uart& console) {
  console.init();
  root.console = &console;
  log::set_console(console);
}

void discover_machine(Root& root, u64 hart, Hpa fdt_address) {
  const std::span<const std::byte> bytes = device_tree_at(fdt_address);
  if (bytes.empty()) panic("the firmware passed no device tree");
  const Result<fdt::Fdt> tree = fdt::Fdt::parse(bytes);
  require(tree, "the device tree is damaged");

  MachineInfo& machine = root.machine;
  DiscoveryFindings findings;
  const BootFacts facts{.fdt_address = fdt_address,
                        .boot_hart = hart,
                        .starts_harts = drivers::sbi::has(drivers::sbi::Extension::HartState),
                        .end_of_memory = Hpa(StackWindow::kBase)};
  const Result<void> discovered = discover(*tree, facts, machine, root.names, findings);
  machine.image = {address_of(__image_start), static_cast<u64>(__image_end - __image_start)};
  const ConsoleInfo& console = machine.console;
  if (console.kind == ConsoleInfo::Kind::Uart16550) {
    root.uart = drivers::Uart16550(console.registers.base, console.register_shift, console.register_width);
    use_console(root, root.uart);
  }
  for (std::string_view warning : findings.warnings) log::warn("device tree: {}", warning);
  if (!discovered) {
    log::error("device tree: {}", findings.reason);
    panic("the device tree does not describe a usable machine");
  }
}

void switch_to_final_tables(Root& root) {
  TablePool pool(ax_table_pool, TABLE_POOL_FRAMES);
  const Result<HostTable> table = build_final_table(pool, root.machine);
  require(table, "the memory map does not fit the boot tables");
  root.space.adopt(*table);
  use_table(*table);
}

}  // namespace
}  // namespace ax::platform

extern "C" {
extern const ax::u64 ax_cpu_block_count;
const ax::u64 ax_cpu_block_count = ax::board::kMaxCpus;
}

extern "C" void* ax_boot_cpu_block() { return ax::percpu::of(0); }

/// Called by boot.S with translation off, with what the firmware passed.
extern "C" [[noreturn]] void ax_start_boot_cpu(ax::u64 hart, ax::u64 fdt_address) {
  using namespace ax::platform;
  describe_boot_cpu(hart);
  ax::set_panic_hook([](const char* message) { panic(message); });
  Root& root = Root::instance();
  use_console(root, root.firmware_console);  // until a serial port is found, and where none is
  discover_machine(root, hart, ax::Hpa(fdt_address));
  ax::drivers::host_timer::init(root.machine.timer.frequency_hz);
  ax::log::set_clock(microseconds);
  switch_to_final_tables(root);
  ax::log::enable_locking();
  give_out_memory(root.machine, root.frames);
  main_on_boot_cpu(root.machine);
}

/// Called by boot.S with the final tables in use.
extern "C" [[noreturn]] void ax_start_secondary_cpu(ax::percpu::PerCpu* cpu) { ax::platform::main_on_secondary_cpu(cpu->index); }
