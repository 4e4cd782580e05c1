#include "platforms/aarch64-dyn/discovery.hpp"

#include <algorithm>

#include "platforms/common/ranges.hpp"

namespace ax::platform {
namespace {

using fdt::Fdt;
using fdt::Node;
using fdt::Region;

struct ConsoleModel {
  std::string_view compatible;
  ConsoleInfo::Kind kind;
  u8 register_shift = 0;  ///< 16550: where the node does not say it
  u8 register_width = 1;
};
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
    {"arm,gic-v3", 3},        {"arm,gic-400", 2},       {"arm,cortex-a15-gic", 2}, {"arm,cortex-a9-gic", 2},
    {"arm,cortex-a7-gic", 2}, {"arm,eb11mp-gic", 2},    {"arm,pl390", 2},          {"qcom,msm-qgic2", 2},
};

/// The PSCI 0.2 function number of CPU_ON, in both calling conventions; a PSCI 0.1 tree names its own.
constexpr u32 kPsciCpuOn32 = 0x8400'0003;
constexpr u32 kPsciCpuOn64 = 0xc400'0003;

/// A GICv2 CPU interface takes 8 KiB: GICC_DIR is in the second page (GICv2 specification, table 4-2).
constexpr u64 kGicV2CpuInterfaceSize = 8_KiB;

HpaRange to_range(Region region) { return {Hpa(region.address), region.size}; }

class Discovery {
 public:
  Discovery(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names, DiscoveryFindings& findings)
      : tree_(tree), facts_(facts), machine_(machine), names_(names), findings_(findings) {}

  Result<void> run() {
    find_texts();
    find_psci();
    find_cpus();
    TRY(find_memory());
    TRY(find_reserved());
    TRY(find_initrd());
    sort_and_join(machine_.reserved);
    TRY(find_gic());
    find_timer();
    find_console();
    return {};
  }

 private:
  std::unexpected<Error> stop(Error error, std::string_view reason) {
    findings_.reason = reason;
    return fail(error);
  }
  void warn(std::string_view text) { (void)findings_.warnings.push_back(text); }

  void find_texts();
  void find_psci();
  void find_cpus();
  void add_cpu(u64 id);
  Result<void> find_memory();
  Result<void> find_reserved();
  Result<void> reserve_node(Node node, const fdt::Ancestors& above);
  Result<void> reserve(HpaRange range);
  Result<void> find_initrd();
  Result<void> find_gic();
  Result<void> read_gic_v2(Node node);
  Result<void> read_gic_v3(Node node);
  void find_timer();
  void find_console();
  bool use_console(Node node);
  std::string_view keep_path(Node node);

  const Fdt& tree_;
  const BootFacts& facts_;
  MachineInfo& machine_;
  std::span<char> names_;
  DiscoveryFindings& findings_;
};

void Discovery::find_texts() {
  machine_.fdt = tree_.blob();
  machine_.model = tree_.root().string("model");
  if (machine_.model.empty()) machine_.model = tree_.root().string("compatible");
  if (const auto chosen = tree_.find("/chosen")) machine_.command_line = chosen->string("bootargs");
}

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

void Discovery::add_cpu(u64 id) {
  for (const CpuInfo& cpu : machine_.cpus) {
    if (cpu.hardware_id == id) return;
  }
  if (!machine_.cpus.push_back({.hardware_id = id})) warn("more CPUs than are supported: the rest stays off");
}

void Discovery::find_cpus() {
  add_cpu(facts_.boot_cpu_id & kMpidrAffinityMask);
  const auto cpus = tree_.find("/cpus");
  if (!cpus) return warn("no /cpus node: only the boot CPU is used");
  const Node above[] = {tree_.root(), *cpus};
  bool boot_cpu_listed = false;
  for (Node node : cpus->children()) {
    if (node.string("device_type") != "cpu" && node.base_name() != "cpu") continue;
    const auto reg = tree_.bus_reg(node, above, 0);
    if (!reg) {
      warn("a CPU node without a usable reg is left out");
      continue;
    }
    const u64 id = reg->address & kMpidrAffinityMask;
    if (id == machine_.cpus[0].hardware_id) {
      boot_cpu_listed = true;
      continue;
    }
    if (!node.is_enabled()) continue;
    if (node.string("enable-method") != "psci" || machine_.psci == PsciConduit::None) {
      warn("a CPU that PSCI cannot start is left out");
      continue;
    }
    add_cpu(id);
  }
  if (!boot_cpu_listed) warn("the boot CPU is not listed in /cpus");
}

// ---- memory ------------------------------------------------------------------------------------------------------------

Result<void> Discovery::find_memory() {
  const Node above[] = {tree_.root()};
  for (Node node : tree_.root().children()) {
    if (node.string("device_type") != "memory" && node.base_name() != "memory") continue;
    if (!node.is_enabled()) continue;
    for (usize i = 0; i < tree_.reg_count(node, above); ++i) {
      const auto region = tree_.reg(node, above, i);
      if (!region) return stop(region.error(), "unreadable reg in a /memory node");
      const HpaRange range = whole_pages_within(to_range(*region));
      if (range.empty()) continue;
      if (machine_.ram.full()) sort_and_join(machine_.ram);
      if (!machine_.ram.push_back(range)) warn("more memory ranges than are supported: the rest is not used");
    }
  }
  sort_and_join(machine_.ram);
  if (machine_.ram.empty()) return stop(Error::NotFound, "no RAM: no /memory node with a reg");
  return {};
}

Result<void> Discovery::reserve(HpaRange range) {
  if (range.empty()) return {};
  if (machine_.reserved.full()) sort_and_join(machine_.reserved);
  if (!machine_.reserved.push_back(whole_pages_around(range))) {
    return stop(Error::OutOfMemory, "more reserved memory ranges than are supported");
  }
  return {};
}

Result<void> Discovery::find_reserved() {
  TRY(reserve({facts_.fdt_address, tree_.blob().size()}));
  for (usize i = 0; i < tree_.reservation_count(); ++i) TRY(reserve(to_range(tree_.reservation(i))));
  const auto parent = tree_.find("/reserved-memory");
  if (!parent) return {};
  fdt::Ancestors above;
  (void)above.push_back(tree_.root());
  (void)above.push_back(*parent);
  for (Node node : parent->children()) {
    if (node.is_enabled()) TRY(reserve_node(node, above));
  }
  return {};
}

// A node without reg asks the operating system to find a place (`size`, `alloc-ranges`): nothing is there to be kept.
Result<void> Discovery::reserve_node(Node node, const fdt::Ancestors& above) {
  for (usize i = 0; i < tree_.reg_count(node, above); ++i) {
    auto region = tree_.reg(node, above, i);
    // Some trees forget the empty `ranges`; the addresses are meant for the CPU all the same.
    if (!region && region.error() == Error::NotSupported) region = tree_.bus_reg(node, above, i);
    if (!region) return stop(region.error(), "unreadable reg in /reserved-memory");
    TRY(reserve(to_range(*region)));
  }
  return {};
}

Result<void> Discovery::find_initrd() {
  const auto chosen = tree_.find("/chosen");
  if (!chosen) return {};
  const auto start = chosen->property("linux,initrd-start");
  const auto end = chosen->property("linux,initrd-end");
  if (!start || !end) return {};
  const auto first = start->as_u64();
  const auto last = end->as_u64();
  if (!first || !last || *last < *first) return stop(Error::Malformed, "unusable linux,initrd-start or -end in /chosen");
  if (*first == *last) return {};
  const HpaRange range{Hpa(*first), *last - *first};
  TRY(reserve(range));
  (void)machine_.modules.push_back({"initrd", range});
  return {};
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

// ---- timers and console ------------------------------------------------------------------------------------------------

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
    if (decoded) role.intid = decoded->intid;
    else warn("a timer interrupt is missing: the architecture's usual one is assumed");
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

bool Discovery::use_console(Node node) {
  if (!node.is_enabled()) return false;
  for (const ConsoleModel& model : kConsoleModels) {
    if (!node.is_compatible(model.compatible)) continue;
    const fdt::Ancestors above = tree_.ancestors(node);
    const auto region = tree_.reg(node, above, 0);
    if (!region) return false;
    const u32 offset = node.cell_or("reg-offset", 0);
    if (offset > region->size) return false;
    ConsoleInfo& console = machine_.console;
    console.kind = model.kind;
    console.registers = {Hpa(region->address + offset), region->size - offset};
    constexpr u32 kMostRegisterShift = 4;
    console.register_shift = static_cast<u8>(std::min(node.cell_or("reg-shift", model.register_shift), kMostRegisterShift));
    const u32 width = node.cell_or("reg-io-width", model.register_width);
    console.register_width = width == 2 || width == 4 ? static_cast<u8>(width) : u8{1};
    if (const auto interrupt = tree_.interrupt(node, above, 0)) {
      if (const auto decoded = fdt::decode_gic_interrupt(*interrupt)) console.interrupt = decoded->intid;
    }
    console.fdt_path = keep_path(node);
    return true;
  }
  return false;
}

void Discovery::find_console() {
  if (const auto chosen = tree_.find("/chosen")) {
    for (std::string_view name : {"stdout-path", "linux,stdout-path"}) {
      const std::string_view path = chosen->string(name);
      const auto node = tree_.find(path.substr(0, path.find(':')));
      if (node && use_console(*node)) return;
      if (!path.empty()) warn("the console of /chosen is not usable: another one is used");
    }
  }
  if (const auto node = tree_.find("serial0"); node && use_console(*node)) return;
  for (const ConsoleModel& model : kConsoleModels) {
    for (auto node = tree_.find_compatible(model.compatible); node; node = tree_.find_compatible(model.compatible, node)) {
      if (use_console(*node)) return;
    }
  }
  warn("no console: no PL011, DesignWare or 16550 UART");
}

std::string_view Discovery::keep_path(Node node) {
  const auto path = tree_.path(node, names_);
  if (!path) {
    warn("a device path is too long to be kept");
    return {};
  }
  names_ = names_.subspan(path->size());
  return *path;
}

}  // namespace

Result<void> discover(const Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names,
                      DiscoveryFindings& findings) {
  return Discovery(tree, facts, machine, names, findings).run();
}

}  // namespace ax::platform
