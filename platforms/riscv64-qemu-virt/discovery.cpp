#include "platforms/riscv64-qemu-virt/discovery.hpp"

#include <algorithm>

namespace ax::platform {
namespace {

using fdt::Fdt;
using fdt::Node;

constexpr ConsoleModel kConsoleModels[] = {
    {"ns16550a", ConsoleInfo::Kind::Uart16550},
    {"ns16550", ConsoleInfo::Kind::Uart16550},
    {"snps,dw-apb-uart", ConsoleInfo::Kind::Uart16550},
};

constexpr std::string_view kPlicModels[] = {"sifive,plic-1.0.0", "riscv,plic0"};

bool is_plic(Node node) {
  return std::ranges::any_of(kPlicModels, [&](std::string_view model) { return node.is_compatible(model); });
}

class Discovery final : public FdtDiscovery {
 public:
  Discovery(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names, DiscoveryFindings& findings)
      : FdtDiscovery(tree, facts.fdt_address, machine, names, findings), facts_(facts) {}

  Result<void> run() {
    find_texts();
    find_cpus(facts_.boot_hart, ~u64{0});
    TRY(find_timer());
    TRY(find_memory());
    TRY(leave_out_far_memory());
    TRY(find_reserved());
    find_plic();
    find_console(kConsoleModels);
    if (machine_.console.kind == ConsoleInfo::Kind::None) machine_.console.kind = ConsoleInfo::Kind::Sbi;
    return {};
  }

 private:
  std::string_view cannot_start(Node cpu) const override {
    if (!facts_.starts_harts) return "a CPU that the firmware cannot start is left out";
    const std::string_view mmu = cpu.string("mmu-type");
    return mmu.empty() || mmu == "riscv,none" ? "a CPU without an MMU is left out" : "";
  }
  Result<void> find_timer();
  Result<void> leave_out_far_memory();
  void find_plic();
  void note_context(u32 controller, u32 context);
  u32 interrupt_number(const fdt::Interrupt& interrupt) const override {
    return is_plic(interrupt.controller) && interrupt.cell_count != 0 ? interrupt.cells[0] : 0;
  }

  const BootFacts& facts_;
};

Result<void> Discovery::find_timer() {
  constexpr std::string_view kFrequency = "timebase-frequency";
  if (const auto cpus = tree_.find("/cpus")) {
    machine_.timer.frequency_hz = cpus->cell_or(kFrequency, 0);
    for (Node cpu : cpus->children()) {
      if (machine_.timer.frequency_hz == 0) machine_.timer.frequency_hz = cpu.cell_or(kFrequency, 0);
    }
  }
  if (machine_.timer.frequency_hz == 0) return stop(Error::NotFound, "no timebase-frequency in /cpus");
  return {};
}

Result<void> Discovery::leave_out_far_memory() {
  StaticVector<HpaRange, kMaxMemoryRanges> near;
  for (HpaRange range : machine_.ram) {
    if (range.end() > facts_.end_of_memory) {
      warn("RAM beyond what the page tables reach is not used");
      range.size = range.base < facts_.end_of_memory ? facts_.end_of_memory - range.base : 0;
    }
    if (!range.empty()) TRY(near.push_back(range));
  }
  machine_.ram = near;
  if (machine_.ram.empty()) return stop(Error::NotFound, "no RAM that the page tables reach");
  return {};
}

/// `controller` is the phandle of a CPU's own interrupt controller, a child of the CPU's node.
void Discovery::note_context(u32 controller, u32 context) {
  const auto node = tree_.find_phandle(controller);
  const auto cpu = node ? tree_.parent(*node) : std::nullopt;
  if (!cpu) return;
  const fdt::Ancestors above = tree_.ancestors(*cpu);
  const auto reg = tree_.bus_reg(*cpu, above, 0);
  if (!reg) return;
  for (CpuInfo& info : machine_.cpus) {
    if (info.hardware_id == reg->address) info.plic_context = context;
  }
}

void Discovery::find_plic() {
  for (Node node : tree_.nodes()) {
    if (!is_plic(node) || !node.is_enabled()) continue;
    const fdt::Ancestors above = tree_.ancestors(node);
    const auto region = tree_.reg(node, above, 0);
    const auto targets = node.property("interrupts-extended");
    if (!region || !targets) break;
    // Each context is one interrupt of a CPU's own controller, which has one cell.
    constexpr u32 kSupervisorExternal = 9;
    for (usize i = 0; const auto target = tree_.interrupt(node, above, i); ++i) {
      if (target->cell_count != 1 || target->cells[0] != kSupervisorExternal) continue;
      note_context(target->controller.cell_or("phandle", 0), static_cast<u32>(i));
    }
    machine_.plic = {to_range(*region), node.cell_or("riscv,ndev", 0), keep_path(node)};
    return;
  }
  warn("no usable PLIC: interrupts of devices do not arrive");
}

}  // namespace

Result<void> discover(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names,
                      DiscoveryFindings& findings) {
  return Discovery(tree, facts, machine, names, findings).run();
}

}  // namespace ax::platform
