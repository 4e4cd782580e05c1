#include "platforms/common/fdt_discovery.hpp"

#include <algorithm>

#include "kernel/fdt/format.hpp"

namespace ax::platform {

using fdt::Node;

u64 device_tree_size(std::span<const std::byte> header) {
  constexpr u64 kMostBytes = 2_MiB;
  if (fdt::load_be32(header, fdt::kHeaderMagic) != fdt::kMagic) return 0;
  const u64 size = fdt::load_be32(header, fdt::kHeaderTotalSize);
  return size >= fdt::kHeaderSize && size <= kMostBytes ? size : 0;
}

void FdtDiscovery::find_texts() {
  machine_.fdt = tree_.blob();
  machine_.model = tree_.root().string("model");
  if (machine_.model.empty()) machine_.model = tree_.root().string("compatible");
  if (const auto chosen = tree_.find("/chosen")) machine_.command_line = chosen->string("bootargs");
}

// ---- CPUs --------------------------------------------------------------------------------------------------------------

void FdtDiscovery::add_cpu(u64 id) {
  for (const CpuInfo& cpu : machine_.cpus) {
    if (cpu.hardware_id == id) return;
  }
  if (!machine_.cpus.push_back({.hardware_id = id})) warn("more CPUs than are supported: the rest stays off");
}

void FdtDiscovery::find_cpus(u64 boot_id, u64 id_mask) {
  add_cpu(boot_id & id_mask);
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
    const u64 id = reg->address & id_mask;
    if (id == machine_.cpus[0].hardware_id) {
      boot_cpu_listed = true;
      continue;
    }
    if (!node.is_enabled()) continue;
    if (const std::string_view reason = cannot_start(node); !reason.empty()) {
      warn(reason);
      continue;
    }
    add_cpu(id);
  }
  if (!boot_cpu_listed) warn("the boot CPU is not listed in /cpus");
}

// ---- memory ------------------------------------------------------------------------------------------------------------

Result<void> FdtDiscovery::find_memory() {
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

Result<void> FdtDiscovery::reserve(HpaRange range) {
  if (range.empty()) return {};
  if (machine_.reserved.full()) sort_and_join(machine_.reserved);
  if (!machine_.reserved.push_back(whole_pages_around(range))) {
    return stop(Error::OutOfMemory, "more reserved memory ranges than are supported");
  }
  return {};
}

Result<void> FdtDiscovery::find_reserved() {
  TRY(reserve({fdt_address_, tree_.blob().size()}));
  for (usize i = 0; i < tree_.reservation_count(); ++i) TRY(reserve(to_range(tree_.reservation(i))));
  if (const auto parent = tree_.find("/reserved-memory")) {
    fdt::Ancestors above;
    (void)above.push_back(tree_.root());
    (void)above.push_back(*parent);
    for (Node node : parent->children()) {
      if (node.is_enabled()) TRY(reserve_node(node, above));
    }
  }
  TRY(find_initrd());
  sort_and_join(machine_.reserved);
  return {};
}

// A node without reg asks the operating system to find a place (`size`, `alloc-ranges`): nothing is there to be kept.
Result<void> FdtDiscovery::reserve_node(Node node, const fdt::Ancestors& above) {
  for (usize i = 0; i < tree_.reg_count(node, above); ++i) {
    auto region = tree_.reg(node, above, i);
    // Some trees forget the empty `ranges`; the addresses are meant for the CPU all the same.
    if (!region && region.error() == Error::NotSupported) region = tree_.bus_reg(node, above, i);
    if (!region) return stop(region.error(), "unreadable reg in /reserved-memory");
    TRY(reserve(to_range(*region)));
  }
  return {};
}

Result<void> FdtDiscovery::find_initrd() {
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

// ---- console -----------------------------------------------------------------------------------------------------------

bool FdtDiscovery::use_console(Node node, std::span<const ConsoleModel> models) {
  if (!node.is_enabled()) return false;
  for (const ConsoleModel& model : models) {
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
    if (const auto interrupt = tree_.interrupt(node, above, 0)) console.interrupt = interrupt_number(*interrupt);
    console.fdt_path = keep_path(node);
    return true;
  }
  return false;
}

void FdtDiscovery::find_console(std::span<const ConsoleModel> models) {
  if (const auto chosen = tree_.find("/chosen")) {
    for (std::string_view name : {"stdout-path", "linux,stdout-path"}) {
      const std::string_view path = chosen->string(name);
      const auto node = tree_.find(path.substr(0, path.find(':')));
      if (node && use_console(*node, models)) return;
      if (!path.empty()) warn("the console of /chosen is not usable: another one is used");
    }
  }
  if (const auto node = tree_.find("serial0"); node && use_console(*node, models)) return;
  for (const ConsoleModel& model : models) {
    for (auto node = tree_.find_compatible(model.compatible); node; node = tree_.find_compatible(model.compatible, node)) {
      if (use_console(*node, models)) return;
    }
  }
  warn("no console: no serial port that there is a driver for");
}

std::string_view FdtDiscovery::keep_path(Node node) {
  const auto path = tree_.path(node, names_);
  if (!path) {
    warn("a device path is too long to be kept");
    return {};
  }
  names_ = names_.subspan(path->size());
  return *path;
}

}  // namespace ax::platform
