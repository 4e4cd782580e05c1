#include "platforms/aarch64-dyn/discovery.hpp"

#include <algorithm>

namespace ax::platform {
namespace {

using fdt::Fdt;
using fdt::Node;

constexpr ConsoleModel kConsoleModels[] = {
    {"arm,pl011", ConsoleInfo::Kind::Pl011},
    {"arm,sbsa-uart", ConsoleInfo::Kind::Pl011},
    {"snps,dw-apb-uart", ConsoleInfo::Kind::Uart16550},
    {"ns16550a", ConsoleInfo::Kind::Uart16550},
    {"ns16550", ConsoleInfo::Kind::Uart16550},
    {"brcm,bcm2835-aux-uart", ConsoleInfo::Kind::Uart16550, 2, 4},
    {"cdns,uart-r1p12", ConsoleInfo::Kind::Cadence},
    {"cdns,uart-r1p8", ConsoleInfo::Kind::Cadence},
    {"xlnx,xuartps", ConsoleInfo::Kind::Cadence},
    {"fsl,imx6q-uart", ConsoleInfo::Kind::Imx},
};

struct GicModel {
  std::string_view compatible;
  u8 version;
};
constexpr GicModel kGicModels[] = {
    {"arm,gic-v3", 3},        {"arm,gic-400", 2},    {"arm,cortex-a15-gic", 2}, {"arm,cortex-a9-gic", 2},
    {"arm,cortex-a7-gic", 2}, {"arm,eb11mp-gic", 2}, {"arm,pl390", 2},          {"qcom,msm-qgic2", 2},
};

/// The PSCI 0.2 function number of CPU_ON, in both calling conventions; a PSCI 0.1 tree names its own.
constexpr u32 kPsciCpuOn32 = 0x8400'0003;
constexpr u32 kPsciCpuOn64 = 0xc400'0003;

/// A GICv2 CPU interface takes 8 KiB: GICC_DIR is in the second page (GICv2 specification, table 4-2).
constexpr u64 kGicV2CpuInterfaceSize = 8_KiB;

class Discovery final : public FdtDiscovery {
 public:
  Discovery(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names, DiscoveryFindings& findings)
      : FdtDiscovery(tree, facts.fdt_address, machine, names, findings), facts_(facts) {}

  Result<void> run() {
    find_texts();
    find_psci();
    find_cpus(facts_.boot_cpu_id, kMpidrAffinityMask);
    TRY(find_memory());
    TRY(find_reserved());
    TRY(find_gic());
    find_timer();
    find_console(kConsoleModels);
    return {};
  }

 private:
  void find_psci();
  std::string_view cannot_start(Node cpu) const override {
    const bool startable = cpu.string("enable-method") == "psci" && machine_.psci != PsciConduit::None;
    return startable ? "" : "a CPU that PSCI cannot start is left out";
  }
  Result<void> find_gic();
  Result<void> read_gic_v2(Node node);
  Result<void> read_gic_v3(Node node);
  void find_timer();
  u32 interrupt_number(const fdt::Interrupt& interrupt) const override {
    const auto decoded = fdt::decode_gic_interrupt(interrupt);
    return decoded ? decoded->intid : 0;
  }

  const BootFacts& facts_;
};

// ---- CPUs --------------------------------------------------------------------------------------------------------------

void Discovery::find_psci() {
  for (Node node : tree_.nodes()) {
    const bool standard = node.is_compatible("arm,psci-0.2") || node.is_compatible("arm,psci-1.0");
    if (!standard && !node.is_compatible("arm,psci")) continue;
    const u32 cpu_on = node.cell_or("cpu_on", 0);
    if (!standard && cpu_on != kPsciCpuOn32 && cpu_on != kPsciCpuOn64) {
      return warn("PSCI 0.1 with function numbers of its own is not supported: other CPUs stay off");
    }
    const std::string_view method = node.string("method");
    if (method == "smc") machine_.psci = PsciConduit::Smc;
    if (method == "hvc") machine_.psci = PsciConduit::Hvc;
    return;
  }
  warn("no PSCI node: other CPUs stay off");
}

// ---- interrupt controller ----------------------------------------------------------------------------------------------

Result<void> Discovery::find_gic() {
  for (Node node : tree_.nodes()) {
    if (!node.has("interrupt-controller") || !node.is_enabled()) continue;
    for (const GicModel& model : kGicModels) {
      if (!node.is_compatible(model.compatible)) continue;
      machine_.gic.version = model.version;
      machine_.gic.fdt_path = keep_path(node);
      if (const auto interrupt = tree_.interrupt(node, 0)) {
        if (const auto decoded = fdt::decode_gic_interrupt(*interrupt)) machine_.gic.maintenance_interrupt = decoded->intid;
      }
      return model.version == 2 ? read_gic_v2(node) : read_gic_v3(node);
    }
  }
  return stop(Error::NotFound, "no GIC: no enabled node that is compatible with arm,gic-v3, arm,gic-400 or another GICv2");
}

Result<void> Discovery::read_gic_v2(Node node) {
  GicInfo& gic = machine_.gic;
  struct Block {
    HpaRange& range;
    u64 least_size;
    std::string_view missing;
  };
  const Block blocks[] = {
      {gic.distributor, kPageSize, "GICv2 without distributor registers (reg 0)"},
      // Older trees announce one page only.
      {gic.cpu_interface, kGicV2CpuInterfaceSize, "GICv2 without CPU interface registers (reg 1)"},
      {gic.hypervisor_interface, kPageSize, "GICv2 without virtualisation: no GICH registers (reg 2)"},
      {gic.virtual_cpu_interface, kGicV2CpuInterfaceSize, "GICv2 without virtualisation: no GICV registers (reg 3)"},
  };
  const fdt::Ancestors above = tree_.ancestors(node);
  for (usize i = 0; i < std::size(blocks); ++i) {
    const auto region = tree_.reg(node, above, i);
    if (!region && !facts_.runs_guests && &blocks[i].range == &gic.hypervisor_interface) return {};
    if (!region) return stop(region.error(), blocks[i].missing);
    blocks[i].range = {Hpa(region->address), std::max(region->size, blocks[i].least_size)};
    if (!blocks[i].range.fits()) return stop(Error::Malformed, blocks[i].missing);
  }
  return {};
}

Result<void> Discovery::read_gic_v3(Node node) {
  GicInfo& gic = machine_.gic;
  const fdt::Ancestors above = tree_.ancestors(node);
  const auto distributor = tree_.reg(node, above, 0);
  if (!distributor) return stop(distributor.error(), "GICv3 without distributor registers (reg 0)");
  gic.distributor = to_range(*distributor);
  const u32 regions = node.cell_or("#redistributor-regions", 1);
  for (u32 i = 0; i < regions; ++i) {
    const auto region = tree_.reg(node, above, 1 + usize{i});
    if (!region) return stop(region.error(), "GICv3 without redistributor registers (reg 1)");
    if (!gic.redistributors.push_back(to_range(*region))) {
      return stop(Error::OutOfMemory, "GICv3 with more redistributor regions than are supported");
    }
  }
  if (gic.redistributors.empty()) return stop(Error::NotFound, "GICv3 with no redistributor region");
  if (const auto stride = node.property("redistributor-stride")) gic.redistributor_stride = stride->as_u64().value_or(0);
  return {};
}

// ---- timers --------------------------------------------------------------------------------------------------------------

void Discovery::find_timer() {
  auto node = tree_.find_compatible("arm,armv8-timer");
  if (!node) node = tree_.find_compatible("arm,armv7-timer");
  if (!node) return warn("no timer node: the architecture's usual interrupts are assumed");
  TimerInfo& timer = machine_.timer;
  timer.frequency_hz = node->cell_or("clock-frequency", 0);

  struct Role {
    std::string_view name;
    u32& intid;
  };
  const Role roles[] = {
      {"sec-phys", timer.secure_physical_interrupt},
      {"phys", timer.physical_interrupt},
      {"virt", timer.virtual_interrupt},
      {"hyp-phys", timer.hypervisor_interrupt},
  };
  const auto assign = [&](const Role& role, usize index) {
    const auto interrupt = tree_.interrupt(*node, index);
    const auto decoded = interrupt ? fdt::decode_gic_interrupt(*interrupt) : fail(interrupt.error());
    if (decoded)
      role.intid = decoded->intid;
    else
      warn("a timer interrupt is missing: the architecture's usual one is assumed");
  };
  const auto names = node->property("interrupt-names");
  if (!names) {
    for (usize i = 0; i < std::size(roles); ++i) assign(roles[i], i);
    return;
  }
  usize index = 0;
  for (std::string_view name : names->strings()) {
    for (const Role& role : roles) {
      if (role.name == name) assign(role, index);
    }
    ++index;
  }
}

}  // namespace

Result<void> discover(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names,
                      DiscoveryFindings& findings) {
  return Discovery(tree, facts, machine, names, findings).run();
}

}  // namespace ax::platform
