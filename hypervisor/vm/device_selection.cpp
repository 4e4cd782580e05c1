#include "hypervisor/vm/device_selection.hpp"

#include <algorithm>

#include "hypervisor/config/bus_masters.hpp"
#include "kernel/base/range_list.hpp"

namespace hv {
namespace {

using fdt::Fdt;
using fdt::Node;
using fdt::Property;

enum Flag : u16 {
  kHosts = 1,            ///< never given to a guest
  kExcluded = 2,         ///< `excluded_devices`
  kReferenceOnly = 4,    ///< comes along with a device that refers to it, not by itself
  kIncluded = 8,
  kVisited = 16,         ///< included, and its references have been followed
  kReservedMemory = 32,  ///< describes RAM, not registers
  kSharesPage = 64,      ///< with a device that another VM names
  kBusMaster = 128,      ///< writes to memory by itself, and may not
  kNearMaster = 256,     ///< has registers on a page with those of such a device
  kInherited = kHosts | kExcluded | kReferenceOnly | kReservedMemory,
};

// ---- what belongs to the host ------------------------------------------------------------------------------------------

struct RootChild {
  std::string_view base_name;
  u16 flags;
};
constexpr RootChild kRootChildren[] = {
    {"cpus", kHosts},
    {"chosen", kHosts},
    {"aliases", kHosts},
    {"memory", kHosts},
    {"psci", kHosts},
    {"hypervisor", kHosts},
    {"thermal-zones", kHosts},  // act on the CPUs' clocks and on power
    {"__symbols__", kHosts},
    {"__fixups__", kHosts},
    {"__local_fixups__", kHosts},
    {"firmware", kReferenceOnly},
    {"reserved-memory", kReferenceOnly | kReservedMemory},
};

constexpr std::string_view kHostModels[] = {
    "arm,gic-v3",      "arm,gic-v3-its",     "arm,gic-v2m-frame",  "arm,gic-400",     "arm,cortex-a15-gic", "arm,cortex-a9-gic",
    "arm,armv8-timer", "arm,armv7-timer",    "arm,armv7-timer-mem", "arm,psci",       "arm,psci-0.2",       "arm,psci-1.0",
    "arm,smmu-v3",     "arm,smmu-v2",        "arm,mmu-500",
};

constexpr std::string_view kHostDeviceTypes[] = {"pci", "cpu", "memory"};

// ---- how properties refer to nodes -------------------------------------------------------------------------------------

enum class Match : u8 { Whole, Prefix, Suffix };

/// A property that holds phandles. With `cells`, each is followed by as many cells as that property of the node it names
/// says. Of a `kFirstOnly` property only the first cell is a phandle: drivers give the rest a meaning of their own.
struct Reference {
  Match match;
  std::string_view name;
  std::string_view cells;
};
constexpr std::string_view kListOnly = "";
constexpr std::string_view kFirstOnly = "-";
constexpr Reference kReferences[] = {
    {Match::Whole, "interrupt-parent", kFirstOnly},
    {Match::Whole, "interrupts-extended", "#interrupt-cells"},
    {Match::Whole, "clocks", "#clock-cells"},
    {Match::Whole, "assigned-clocks", "#clock-cells"},
    {Match::Whole, "assigned-clock-parents", "#clock-cells"},
    {Match::Whole, "power-domains", "#power-domain-cells"},
    {Match::Whole, "phys", "#phy-cells"},
    {Match::Whole, "resets", "#reset-cells"},
    {Match::Whole, "dmas", "#dma-cells"},
    {Match::Whole, "mboxes", "#mbox-cells"},
    {Match::Whole, "hwlocks", "#hwlock-cells"},
    {Match::Whole, "pwms", "#pwm-cells"},
    {Match::Whole, "io-channels", "#io-channel-cells"},
    {Match::Whole, "interconnects", "#interconnect-cells"},
    {Match::Whole, "sound-dai", "#sound-dai-cells"},
    {Match::Whole, "thermal-sensors", "#thermal-sensor-cells"},
    {Match::Whole, "nvmem-cells", "#nvmem-cell-cells"},
    {Match::Whole, "msi-parent", "#msi-cells"},
    {Match::Whole, "iommus", "#iommu-cells"},
    {Match::Whole, "phy-handle", kFirstOnly},
    {Match::Whole, "memory-region", kListOnly},
    {Match::Whole, "operating-points-v2", kListOnly},
    {Match::Whole, "syscon", kFirstOnly},
    {Match::Whole, "regmap", kFirstOnly},
    {Match::Whole, "gpios", "#gpio-cells"},
    {Match::Whole, "gpio", "#gpio-cells"},
    {Match::Suffix, "-gpios", "#gpio-cells"},
    {Match::Suffix, "-gpio", "#gpio-cells"},
    {Match::Suffix, "-supply", kFirstOnly},
    {Match::Suffix, "-syscon", kFirstOnly},
    {Match::Suffix, ",syscon", kFirstOnly},
    {Match::Suffix, ",grf", kFirstOnly},
    {Match::Suffix, "-grf", kFirstOnly},
    {Match::Suffix, ",pmu", kFirstOnly},
    {Match::Prefix, "pinctrl-", kListOnly},
};

/// Translation tables that only make sense with an IOMMU or an MSI controller, which guests do not get.
constexpr std::string_view kHostTables[] = {"iommu-map", "iommu-map-mask", "msi-map", "msi-map-mask"};

const Reference* reference_kind(std::string_view property) {
  for (const Reference& r : kReferences) {
    switch (r.match) {
      case Match::Whole: if (property == r.name) return &r; break;
      case Match::Prefix: if (property.starts_with(r.name) && property != "pinctrl-names") return &r; break;
      case Match::Suffix: if (property.ends_with(r.name)) return &r; break;
    }
  }
  return nullptr;
}

/// Calls `action(index)` for every node that `property` refers to; with the number of nodes for one that does not exist.
/// An unknown node ends the list, because the number of its cells is unknown too.
template <class Action>
void for_each_reference(const DeviceSelection& selection, const Property& property, Action&& action) {
  const Reference* kind = reference_kind(property.name);
  if (kind == nullptr) return;
  for (usize position = 0; position < property.cell_count();) {
    const u32 phandle = *property.cell(position++);
    if (phandle == 0) continue;  // a hole in a list
    const usize target = selection.find_phandle(phandle);
    action(target);
    if (target == selection.nodes.size() || kind->cells == kFirstOnly) return;
    if (kind->cells == kListOnly) continue;
    const Node node(*selection.host, selection.nodes[target].offset);
    position += node.cell_or(kind->cells, 0);
  }
}

/// Index of the node that `interrupts` of node `index` refers to; the number of nodes when there is none.
usize interrupt_controller(const DeviceSelection& selection, usize index) {
  for (bool self = true;; self = false) {
    const Node node(*selection.host, selection.nodes[index].offset);
    if (!self && node.has("#interrupt-cells")) return index;
    if (const auto parent = node.property("interrupt-parent")) return selection.find_phandle(parent->as_u32().value_or(0));
    if (index == 0) return selection.nodes.size();
    index = selection.nodes[index].parent;
  }
}

HpaRange page_hull(HpaRange range) {
  const Hpa base = range.base.align_down(kPageSize);
  const u64 end = range.end().align_up(kPageSize).value();
  return {base, (end == 0 ? ~u64{0} : end) - base.value()};
}

template <usize N>
Result<void> add_range(StaticVector<HpaRange, N>& ranges, HpaRange range) {
  if (ranges.full()) sort_and_join(ranges);
  TRY(ranges.push_back(range));
  return {};
}

// ---- selection ---------------------------------------------------------------------------------------------------------

class Selector {
 public:
  Selector(const Fdt& host, const MachineInfo& machine, std::span<NodeRecord> records, DeviceSelection& selection)
      : host_(host), machine_(machine), records_(records), selection_(selection) {}

  Result<void> run(const VmConfig& config, const OtherOwners& others) {
    TRY(make_index());
    find_host_nodes();
    if (!config.allow_unprotected_dma) TRY(find_bus_masters());
    for (std::string_view path : config.excluded_devices) exclude(path);
    for (std::string_view path : others.paths) leave_to_owner(path);
    for (const HpaRange& pages : others.pages) mark_overlapping(pages, kExcluded);
    for (const PassthroughDevice& device : config.passthrough_devices) {
      if (device.by_path) TRY(select(device.name));
    }
    follow_references();
    return collect_resources();
  }

 private:
  Node node(usize index) const { return {host_, records_[index].offset}; }
  void note(std::string_view what, std::string_view path) { (void)selection_.notes.push_back({what, path}); }
  usize index_of(Node n) const;
  bool inside(usize index, usize top) const;
  fdt::Ancestors ancestors(usize index) const;
  template <class Action>
  void for_each_interrupt(usize index, Action&& action) const;

  Result<void> make_index();
  void find_host_nodes();
  Result<void> find_bus_masters();
  u16 own_flags(usize index) const;
  bool touches_host_memory(usize index) const;
  bool has_private_interrupt(usize index) const;
  template <class Action>
  void for_each_register_range(usize index, Action&& action) const;
  usize exclude(std::string_view path);
  void leave_to_owner(std::string_view path);
  void mark_overlapping(HpaRange pages, u16 flag);
  Result<void> select(std::string_view path);
  bool include(usize index);
  void follow_references();
  Result<void> collect_resources();

  const Fdt& host_;
  const MachineInfo& machine_;
  std::span<NodeRecord> records_;
  DeviceSelection& selection_;
};

Result<void> Selector::make_index() {
  constexpr usize kMostNodes = 0xffff;
  usize count = 0;
  u32 highest_phandle = 0;
  std::array<u16, fdt::kMaxDepth + 1> path{};
  const fdt::NodeRange all = host_.nodes();
  for (auto it = all.begin(); it != all.end(); ++it) {
    if (count == records_.size() || count == kMostNodes) return fail(Error::OutOfMemory);
    const Node n = *it;
    path[it.depth()] = static_cast<u16>(count);
    records_[count++] = {n.offset(), n.phandle().value_or(0), path[it.depth() - 1], 0};
    constexpr u32 kLastPhandle = 0xffff'fffe;
    if (records_[count - 1].phandle < kLastPhandle) highest_phandle = std::max(highest_phandle, records_[count - 1].phandle);
  }
  records_ = records_.first(count);
  selection_.host = &host_;
  selection_.nodes = records_;
  selection_.free_phandle = highest_phandle + 1;
  const auto gic = host_.find(machine_.gic.fdt_path);
  selection_.gic = gic ? index_of(*gic) : 0;
  selection_.gic_phandle = selection_.gic != 0 ? records_[selection_.gic].phandle : 0;
  if (selection_.gic_phandle == 0) selection_.gic_phandle = selection_.free_phandle++;
  return {};
}

usize Selector::index_of(Node n) const {
  const auto at = std::lower_bound(records_.begin(), records_.end(), n.offset(),
                                   [](const NodeRecord& r, u32 offset) { return r.offset < offset; });
  return static_cast<usize>(at - records_.begin());
}

bool Selector::inside(usize index, usize top) const {
  while (index > top) index = records_[index].parent;
  return index == top;
}

fdt::Ancestors Selector::ancestors(usize index) const {
  fdt::Ancestors reversed;
  while (index != 0) {
    index = records_[index].parent;
    (void)reversed.push_back(node(index));
  }
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

void Selector::find_host_nodes() {
  for (usize i = 1; i < records_.size(); ++i) {
    records_[i].flags = static_cast<u16>(own_flags(i) | (records_[records_[i].parent].flags & kInherited));
  }
}

// Of the properties that tell, the root's and a bus's hold for all below: they say nothing of a node without registers. A page
// is mapped as a whole, so what shares one with such a device is not given, either.
Result<void> Selector::find_bus_masters() {
  constexpr usize kMostMasters = 1024;
  StaticVector<HpaRange, kMostMasters> pages;
  Result<void> added{};
  for (usize i = 1; i < records_.size(); ++i) {
    const Node n = node(i);
    const auto compatible = n.property("compatible");
    const bool model = compatible && std::ranges::any_of(kBusMasterModels, [&](std::string_view name) {
      return compatible->strings().contains(name);
    });
    const bool says_so = n.has("#dma-cells") || (n.has("reg") && (n.has("iommus") || n.has("dma-coherent")));
    if (!model && !says_so && !is_bus_master_name(n.name())) continue;
    records_[i].flags |= kBusMaster;
    for_each_register_range(i, [&](HpaRange range) {
      if (const auto one = add_range(pages, page_hull(range)); !one) added = one;
    });
  }
  TRY(added);
  sort_and_join(pages);
  for (usize i = 1; i < records_.size(); ++i) {
    if ((records_[i].flags & (kBusMaster | kReservedMemory)) != 0) continue;
    for_each_register_range(i, [&](HpaRange range) {
      const HpaRange hull = page_hull(range);
      if (std::ranges::any_of(pages, [&](const HpaRange& master) { return master.overlaps(hull); })) records_[i].flags |= kNearMaster;
    });
  }
  return {};
}

u16 Selector::own_flags(usize index) const {
  const Node n = node(index);
  u16 flags = 0;
  if (records_[index].parent == 0) {
    for (const RootChild& child : kRootChildren) {
      if (n.base_name() == child.base_name) flags |= child.flags;
    }
  }
  const std::string_view type = n.string("device_type");
  const bool host_type = std::ranges::find(kHostDeviceTypes, type) != std::end(kHostDeviceTypes);
  const auto compatible = n.property("compatible");
  const bool host_model = compatible && std::ranges::any_of(kHostModels, [&](std::string_view model) {
    return compatible->strings().contains(model);
  });
  if (host_type || host_model || n.has("#iommu-cells") || index == selection_.gic) return flags | kHosts;
  const u16 all = flags | records_[records_[index].parent].flags;
  if ((all & kReservedMemory) == 0 && touches_host_memory(index)) flags |= kHosts;
  if (has_private_interrupt(index)) flags |= kHosts;
  return flags;
}

bool Selector::touches_host_memory(usize index) const {
  bool touches = false;
  for_each_register_range(index, [&](HpaRange range) {
    const HpaRange pages = page_hull(range);
    const auto hits = [&](const HpaRange& other) { return !other.empty() && pages.overlaps(page_hull(other)); };
    const GicInfo& gic = machine_.gic;
    const HpaRange fixed[] = {machine_.console.registers, gic.distributor, gic.cpu_interface, gic.hypervisor_interface,
                              gic.virtual_cpu_interface};
    touches = touches || std::ranges::any_of(fixed, hits) || std::ranges::any_of(gic.redistributors, hits) ||
              std::ranges::any_of(machine_.ram, hits);
  });
  return touches;
}

/// Calls `action(GicInterrupt)` for every interrupt that goes to the GIC directly.
template <class Action>
void Selector::for_each_interrupt(usize index, Action&& action) const {
  const auto report = [&](usize controller, const Property& list, usize first) -> u32 {
    if (controller == records_.size()) return 0;
    const u32 cells = node(controller).cell_or("#interrupt-cells", 0);
    if (controller != selection_.gic || cells > fdt::kMaxInterruptCells) return cells;
    fdt::Interrupt interrupt{node(controller)};
    for (; interrupt.cell_count < cells; ++interrupt.cell_count) {
      const auto cell = list.cell(first + interrupt.cell_count);
      if (!cell) return 0;
      interrupt.cells[interrupt.cell_count] = *cell;
    }
    if (const auto decoded = fdt::decode_gic_interrupt(interrupt)) action(*decoded);
    return cells;
  };
  if (const auto list = node(index).property("interrupts-extended")) {
    for (usize position = 0; position < list->cell_count();) {
      const usize controller = selection_.find_phandle(*list->cell(position));
      if (controller == records_.size()) return;
      position += 1 + usize{report(controller, *list, position + 1)};
    }
    return;
  }
  const auto list = node(index).property("interrupts");
  if (!list) return;
  const usize controller = interrupt_controller(selection_, index);
  for (usize position = 0; position < list->cell_count();) {
    const u32 cells = report(controller, *list, position);
    if (cells == 0) return;
    position += cells;
  }
}

bool Selector::has_private_interrupt(usize index) const {
  bool found = false;
  constexpr u32 kFirstSpi = 32;
  for_each_interrupt(index, [&](fdt::GicInterrupt interrupt) { found = found || interrupt.intid < kFirstSpi; });
  return found;
}

/// Calls `action(HpaRange)` for every range of registers (or of reserved RAM) of a node. A bus has none: its `reg`, if any, is the
/// window that its devices lie in.
template <class Action>
void Selector::for_each_register_range(usize index, Action&& action) const {
  const auto compatible = node(index).property("compatible");
  if (compatible && compatible->strings().contains("simple-bus")) return;
  const fdt::Ancestors above = ancestors(index);
  const usize count = host_.reg_count(node(index), above);
  for (usize i = 0; i < count; ++i) {
    const auto region = host_.reg(node(index), above, i);
    if (!region || region->size == 0) continue;  // an address on a bus of its own: I2C, SPI, a CPU number
    action(HpaRange{Hpa(region->address), region->size});
  }
}

/// Returns the index of the node at `path`; the number of nodes when there is none.
usize Selector::exclude(std::string_view path) {
  const auto top = host_.find(path);
  if (!top) {
    note("excluded device is not in the device tree", path);
    return records_.size();
  }
  const usize first = index_of(*top);
  for (usize i = first; i < records_.size() && inside(i, first); ++i) records_[i].flags |= kExcluded;
  return first;
}

void Selector::leave_to_owner(std::string_view path) {
  const usize first = exclude(path);
  for (usize i = first; i < records_.size() && inside(i, first); ++i) {
    for_each_register_range(i, [&](HpaRange range) { mark_overlapping(page_hull(range), kSharesPage); });
  }
}

// A page can only be mapped as a whole, with every device on it.
void Selector::mark_overlapping(HpaRange pages, u16 flag) {
  for (usize i = 1; i < records_.size(); ++i) {
    if ((records_[i].flags & (kHosts | kReservedMemory)) != 0) continue;
    for_each_register_range(i, [&](HpaRange range) {
      if (page_hull(range).overlaps(pages)) records_[i].flags |= flag;
    });
  }
}

Result<void> Selector::select(std::string_view path) {
  const auto refuse = [&](std::string_view why) -> Result<void> {
    note(why, path);
    return {};
  };
  const auto top = host_.find(path);
  if (!top) return refuse("passthrough device is not in the device tree");
  const usize first = index_of(*top);
  const bool wildcard = first == 0;
  if ((records_[first].flags & kHosts) != 0) return refuse("device belongs to the hypervisor and is not passed through");
  if ((records_[first].flags & kExcluded) != 0) return refuse("device is excluded, or belongs to another VM");
  bool left_out = false;
  for (usize i = first; i < records_.size() && inside(i, first);) {
    const bool given = (records_[i].flags & (kHosts | kExcluded)) == 0 && node(i).is_enabled();
    const bool master = given && (records_[i].flags & (kBusMaster | kNearMaster)) != 0;
    if (master && !wildcard) {
      note((records_[i].flags & kBusMaster) != 0 ? "device does DMA, which no IOMMU confines, and allow_unprotected_dma is not set"
                                                 : "device shares a page with one that does DMA, and allow_unprotected_dma is not set",
           path);
      return fail(Error::PermissionDenied);
    }
    if (wildcard && (master || (records_[i].flags & (kReferenceOnly | kSharesPage)) != 0 || !node(i).is_enabled())) {
      left_out |= master;
      const usize skipped = i;
      while (i < records_.size() && inside(i, skipped)) ++i;
      continue;
    }
    (void)include(i++);
  }
  if (left_out) note("devices that do DMA are left out: allow_unprotected_dma is not set", path);
  return {};
}

bool Selector::include(usize index) {
  if ((records_[index].flags & (kHosts | kExcluded | kBusMaster | kNearMaster)) != 0) return false;
  while ((records_[index].flags & kIncluded) == 0) {
    records_[index].flags |= kIncluded;
    index = records_[index].parent;
  }
  return true;
}

// Every round visits at least one node for the first time, so there are at most as many rounds as nodes.
void Selector::follow_references() {
  for (bool again = true; again;) {
    again = false;
    for (usize i = 1; i < records_.size(); ++i) {
      if ((records_[i].flags & (kIncluded | kVisited)) != kIncluded) continue;
      records_[i].flags |= kVisited;
      again = true;
      for (Property property : node(i).properties()) {
        for_each_reference(selection_, property, [&](usize target) {
          if (target != records_.size()) (void)include(target);
        });
      }
    }
  }
}

Result<void> Selector::collect_resources() {
  PassthroughResources& resources = selection_.resources;
  for (usize i = 1; i < records_.size(); ++i) {
    const u16 flags = records_[i].flags;
    if ((flags & kIncluded) == 0 || !node(i).is_enabled()) continue;
    Result<void> added{};
    for_each_register_range(i, [&](HpaRange range) {
      const auto one = (flags & kReservedMemory) != 0 ? add_range(resources.memory, range) : add_range(resources.mmio, range);
      if (!one) added = one;
    });
    TRY(added);
    if (const auto model = node(i).property("compatible"); model && model->strings().contains("virtio,mmio"))
      for_each_register_range(i, [&](HpaRange range) { static_cast<void>(resources.virtio.push_back(range.base)); });
    for_each_interrupt(i, [&](fdt::GicInterrupt interrupt) {
      resources.interrupts.set(interrupt.intid);
      if (interrupt.edge) resources.edge_triggered.set(interrupt.intid);
    });
  }
  sort_and_join(resources.mmio);
  sort_and_join(resources.memory);
  return {};
}

}  // namespace

bool DeviceSelection::includes(usize index) const { return index < nodes.size() && (nodes[index].flags & kIncluded) != 0; }

usize DeviceSelection::find_phandle(u32 phandle) const {
  if (phandle == 0) return nodes.size();
  for (usize i = 0; i < nodes.size(); ++i) {
    if (nodes[i].phandle == phandle) return i;
  }
  return nodes.size();
}

bool DeviceSelection::dangles(usize index, const fdt::Property& property) const {
  const auto absent = [&](usize target) { return !includes(target) && (target != gic || gic == 0); };
  if (std::ranges::find(kHostTables, property.name) != std::end(kHostTables)) return true;
  if (property.name == "interrupts") return absent(interrupt_controller(*this, index));
  bool missing = false;
  for_each_reference(*this, property, [&](usize target) { missing = missing || absent(target); });
  return missing;
}

Result<void> select_devices(const fdt::Fdt& host, const MachineInfo& machine, const VmConfig& config,
                            const OtherOwners& others, std::span<NodeRecord> scratch, DeviceSelection& selection) {
  return Selector(host, machine, scratch, selection).run(config, others);
}

}  // namespace hv
