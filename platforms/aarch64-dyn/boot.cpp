// From boot.S to the program: what is true of the machine at each step is what the next one relies on.
#include <arch/cache.hpp>
#include <arch/cpu.hpp>

#include "kernel/drivers/generic_timer.hpp"
#include "kernel/fdt/format.hpp"
#include "kernel/fdt/reader.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/aarch64-dyn/discovery.hpp"
#include "platforms/aarch64-dyn/level_state.hpp"
#include "platforms/aarch64-dyn/root.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"
#include "platforms/common/start.hpp"
#include "platforms/platform.hpp"

/// Root of the final tables, for CPUs whose MMU is still off.
extern "C" {
constinit ax::u64 ax_root_table = 0;
}

namespace ax::platform {
namespace {

static_assert(arch::SCTLR_EL2::M == SCTLR_M && arch::SCTLR_EL2::C == SCTLR_C && arch::SCTLR_EL2::SA == SCTLR_SA);
static_assert(arch::SCTLR_EL2::I == SCTLR_I && arch::SCTLR_EL2::WXN == SCTLR_WXN);
static_assert(arch::kExceptionLevel == AX_EXCEPTION_LEVEL);
static_assert(arch::HCR_EL2::RW == u64{1} << HCR_EL2_RW_BIT);
static_assert((arch::HCR_EL2::AMO | arch::HCR_EL2::IMO | arch::HCR_EL2::FMO) == HCR_EL2_AMO_IMO_FMO);
static_assert(percpu::kEmergencyStackOffset == PER_CPU_EMERGENCY_STACK && percpu::kStackTopOffset == PER_CPU_STACK_TOP);

/// Where QEMU's virt machine has its RAM, and the device tree of an ELF file or a raw load, for which no register points at it.
constexpr Hpa kQemuVirtRam{0x4000'0000};

/// The device tree at `address` as bytes, mapped; empty when there is none.
std::span<const std::byte> map_device_tree(HostTable& early, TablePool& pool, Hpa address) {
  if (address == Hpa(0) || !address.is_aligned(8)) return {};
  const auto map = [&](u64 size) {
    // The attributes of the image's blocks, with which the tree may share one.
    const HpaRange pages = whole_pages_around({address, size});
    return early.map(pool, identity(pages), pages.base, mm::kReadWriteExecute).has_value();
  };
  if (!map(fdt::kHeaderSize)) return {};
  const auto* const begin = reinterpret_cast<const std::byte*>(address.value());
  const u64 size = device_tree_size({begin, fdt::kHeaderSize});
  if (size == 0 || !map(size)) return {};
  return {begin, size};
}

/// The tree that the boot loader passed, else one at the start of the GiB that the image is in, else at QEMU's RAM base.
/// Boot loaders that pass none put it at the start of RAM, and RAM starts at a multiple of 1 GiB on most machines.
std::span<const std::byte> find_device_tree(HostTable& early, TablePool& pool, Hpa passed) {
  for (Hpa candidate : {passed, address_of(__image_start).align_down(1_GiB), kQemuVirtRam}) {
    const std::span<const std::byte> tree = map_device_tree(early, pool, candidate);
    if (!tree.empty()) return tree;
  }
  return {};
}

void open_console(Root& root) {
  const ConsoleInfo& info = root.machine.console;
  root.console = nullptr;
  if (info.kind == ConsoleInfo::Kind::Pl011) {
    root.pl011 = drivers::Pl011(info.registers.base);
    root.console = &root.pl011;
  } else if (info.kind == ConsoleInfo::Kind::Uart16550) {
    root.uart16550 = drivers::Uart16550(info.registers.base, info.register_shift, info.register_width);
    root.console = &root.uart16550;
  } else if (info.kind == ConsoleInfo::Kind::Cadence) {
    root.cadence_uart = drivers::CadenceUart(info.registers.base);
    root.console = &root.cadence_uart;
  } else if (info.kind == ConsoleInfo::Kind::Imx) {
    root.imx_uart = drivers::ImxUart(info.registers.base);
    root.console = &root.imx_uart;
  }
  if (root.console == nullptr) return;
  root.console->init();
  log::set_console(*root.console);
}

void discover_machine(Root& root, HostTable& early, TablePool& pool, Hpa fdt_address) {
  const std::span<const std::byte> bytes = find_device_tree(early, pool, fdt_address);
  if (bytes.empty()) panic("no device tree: neither passed in x0 nor at the start of RAM");
  const Result<fdt::Fdt> tree = fdt::Fdt::parse(bytes);
  require(tree, "the device tree is damaged");

  MachineInfo& machine = root.machine;
  DiscoveryFindings findings;
  const BootFacts facts{address_of(bytes.data()), arch::MPIDR_EL1::read() & arch::MPIDR_EL1::kAffinity, kAtEl2};
  const Result<void> discovered = discover(*tree, facts, machine, root.names, findings);
  if (machine.timer.frequency_hz == 0) machine.timer.frequency_hz = drivers::generic_timer::frequency();
  machine.image = {address_of(__image_start), static_cast<u64>(__image_end - __image_start)};

  if (machine.console.kind != ConsoleInfo::Kind::None) {
    const HpaRange pages = whole_pages_around(machine.console.registers);
    require(early.map(pool, identity(pages), pages.base, mm::kDeviceReadWrite), "the console's registers overlap memory");
    open_console(root);
  }
  for (std::string_view warning : findings.warnings) log::warn("device tree: {}", warning);
  if (!discovered) {
    log::error("device tree: {}", findings.reason);
    panic("the device tree does not describe a usable machine");
  }
}

void switch_to_final_tables(Root& root, TablePool& pool) {
  const Result<HostTable> table = build_final_table(pool, root.machine);
  require(table, "the memory map does not fit the boot tables");
  ax_root_table = table->root().value();
  arch::clean_data_cache(address_of(&ax_root_table).value(), sizeof ax_root_table);
  ax_set_translation(ax_root_table, SCTLR_FINAL);
  root.space.adopt(*table);
}

void describe_boot_cpu() {
  percpu::PerCpu& cpu = percpu::this_cpu();
  cpu.index = 0;
  cpu.hardware_id = arch::MPIDR_EL1::read() & arch::MPIDR_EL1::kAffinity;
  cpu.stack_size = BOOT_STACK_SIZE;
}

}  // namespace
}  // namespace ax::platform

extern "C" void* ax_boot_cpu_block() { return ax::percpu::of(0); }

/// Called by boot.S with the early tables in use; `fdt_address` is what the boot loader passed.
extern "C" [[noreturn]] void ax_start_boot_cpu(ax::u64 fdt_address) {
  using namespace ax::platform;
  describe_boot_cpu();
  reset_level_state();
  ax::log::set_clock(microseconds);
  ax::set_panic_hook([](const char* message) { panic(message); });
  Root& root = Root::construct();
  TablePool pool(ax_table_pool, TABLE_POOL_FRAMES);
  HostTable early = early_table();
  discover_machine(root, early, pool, ax::Hpa(fdt_address));
  root.psci = ax::drivers::Psci(root.machine.psci);
  switch_to_final_tables(root, pool);
  ax::log::enable_locking();
  give_out_memory(root.machine, root.frames);
  main_on_boot_cpu(root.machine);
}

/// Called by boot.S with the final tables in use.
extern "C" [[noreturn]] void ax_start_secondary_cpu(ax::percpu::PerCpu* cpu) {
  ax::platform::reset_level_state();
  ax::platform::main_on_secondary_cpu(cpu->index);
}
