// From boot.S to the program: what is true of the machine at each step is what the next one relies on.
#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/boot_info.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/descriptor_tables.hpp"
#include "platforms/x86-qemu-q35/root.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

/// For secondary CPUs on their way from the trampoline: the root of the final tables, and who is to start.
extern "C" {
constinit ax::u64 ax_root_table = 0;
constinit std::atomic<ax::percpu::PerCpu*> ax_secondary_block{nullptr};
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

/// Without a value there is no way on.
template <class T>
void require(const Result<T>& result, const char* message) {
  if (!result) panic(message);
}

void describe_boot_cpu() {
  percpu::PerCpu& cpu = *percpu::of(0);
  cpu.index = 0;
  cpu.stack_top = address_of(ax_boot_stack_top).value();
  cpu.stack_size = BOOT_STACK_SIZE;
  cpu.emergency_stack_top = address_of(ax_boot_emergency_stack_top).value();
  load_descriptor_tables(cpu, address_of(ax_boot_nmi_stack_top).value());
}

void open_console(Root& root) {
  root.machine.console = {.kind = ConsoleInfo::Kind::Uart16550, .registers = {Hpa(kConsolePort), kConsolePorts}, .is_port = true,
                          .interrupt = kConsoleInterrupt};
  root.uart = drivers::Uart16550Ports(kConsolePort);
  root.uart.init();
  log::set_console(root.uart);
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
  machine.ram = info->ram;
  machine.reserved = info->reserved;
  machine.modules = info->modules;
  machine.command_line = info->command_line;
  require(machine.cpus.push_back({}), "no CPU");
}

void switch_to_final_tables(Root& root) {
  TablePool pool;
  const Result<HostTable> table = build_final_table(pool, root.machine);
  require(table, "the memory map does not fit the boot tables");
  ax_root_table = table->root().value();
  root.space.adopt(*table);
  arch::CR3::write(ax_root_table);
}

void give_out_memory(Root& root) {
  const MachineInfo& machine = root.machine;
  StaticVector<HpaRange, kMaxModules + 1> host;
  const auto add = [&](HpaRange range) { require(host.push_back(range), "too many modules"); };
  add(machine.image);
  for (const ModuleInfo& module : machine.modules) add(module.data);
  const Result<void> result =
      root.frames.without_lock().initialise({.ram = machine.ram, .reserved = machine.reserved, .host = host});
  require(result, "no memory is left for the frame allocator");
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
  give_out_memory(root);
  main_on_boot_cpu(root.machine);
}

/// Called by boot.S with the final tables in use.
extern "C" [[noreturn]] void ax_start_secondary_cpu(ax::percpu::PerCpu* cpu) {
  ax::platform::main_on_secondary_cpu(cpu->index);
}
