#include "hypervisor/vm/guest_fdt.hpp"

#include <algorithm>

#include "kernel/base/format.hpp"
#include "kernel/fdt/format.hpp"
#include "kernel/fdt/writer.hpp"

namespace hv {
namespace {

using fdt::Cells;
using fdt::Fdt;
using fdt::Node;
using fdt::Property;
using fdt::Writer;

constexpr u32 kGicFirstCpuMaskBit = 8;  ///< GICv2 binding: bits 15:8 of a PPI's flags are the CPUs it is wired to
constexpr usize kGicV2Cpus = 8;

/// A node name with a unit address.
class UnitName {
 public:
  UnitName(std::string_view base, u64 address) : sink_(buffer_.data(), buffer_.size()) { print(sink_, "{}@{:x}", base, address); }
  UnitName(const UnitName&) = delete;
  UnitName& operator=(const UnitName&) = delete;
  operator std::string_view() const { return sink_.view(); }

 private:
  std::array<char, 64> buffer_{};
  BufferSink sink_;
};

bool fits_cells(u64 value, u32 cells) { return cells == 2 || (cells == 1 && value >> 32 == 0); }

bool is_memory(Node node) { return node.string("device_type") == "memory" || node.base_name() == "memory"; }

/// The parts that both kinds of tree share. `root` gives the format of addresses at the top of the tree.
class GuestTree {
 public:
  GuestTree(Writer& writer, const GuestMachine& guest, Node root)
      : w_(writer), guest_(guest), address_cells_(root.address_cells()), size_cells_(root.size_cells()) {}

  void memory();
  void chosen_properties(bool with_stdout);
  void cpu(const GuestCpu& cpu, u32 address_cells, std::string_view compatible, std::optional<u32> capacity, std::optional<u32> phandle);
  void reg(std::initializer_list<GpaRange> ranges);
  void interrupt(u32 intid, u32 flags);
  void append(Cells& cells, GpaRange range);

 private:
  Writer& w_;
  const GuestMachine& guest_;
  u32 address_cells_;
  u32 size_cells_;
};

void GuestTree::append(Cells& cells, GpaRange range) {
  if (!fits_cells(range.base.value(), address_cells_) || !fits_cells(range.size, size_cells_)) return w_.abort(Error::OutOfRange);
  cells.number(range.base.value(), address_cells_).number(range.size, size_cells_);
}

void GuestTree::reg(std::initializer_list<GpaRange> ranges) {
  Cells cells;
  for (const GpaRange& range : ranges) append(cells, range);
  w_.cells("reg", cells);
}

void GuestTree::memory() {
  if (guest_.ram.empty()) return;
  w_.begin_node(UnitName("memory", guest_.ram.front().base.value()));
  w_.string("device_type", "memory");
  Cells cells;
  for (const GpaRange& range : guest_.ram) append(cells, range);
  w_.cells("reg", cells);
  w_.end_node();
}

void GuestTree::chosen_properties(bool with_stdout) {
  if (!guest_.command_line.empty()) w_.string("bootargs", guest_.command_line);
  if (with_stdout && !guest_.console.empty()) {
    std::array<char, 64> buffer;
    BufferSink path(buffer.data(), buffer.size());
    print(path, "/serial@{:x}", guest_.console.base.value());
    w_.string("stdout-path", path.view());
  }
  if (!guest_.initrd.empty()) {
    w_.property("linux,initrd-start", guest_.initrd.base.value());
    w_.property("linux,initrd-end", guest_.initrd.end().value());
  }
}

void GuestTree::cpu(const GuestCpu& cpu, u32 address_cells, std::string_view compatible, std::optional<u32> capacity,
                    std::optional<u32> phandle) {
  if (!fits_cells(cpu.mpidr, address_cells)) return w_.abort(Error::OutOfRange);
  w_.begin_node(UnitName("cpu", cpu.mpidr));
  w_.string("device_type", "cpu");
  w_.string("compatible", compatible);
  w_.cells("reg", Cells().number(cpu.mpidr, address_cells));
  w_.string("enable-method", "psci");
  if (capacity) w_.property("capacity-dmips-mhz", *capacity);
  if (phandle) w_.property("phandle", *phandle);
  w_.end_node();
}

void GuestTree::interrupt(u32 intid, u32 flags) {
  if (intid < fdt::kGicFirstSpi) return w_.abort(Error::InvalidArgument);
  w_.cells("interrupts", {fdt::kGicSpi, intid - fdt::kGicFirstSpi, flags});
}

// ---- generated ---------------------------------------------------------------------------------------------------------

class Generator {
 public:
  Generator(const DeviceSelection& selection, const GuestMachine& guest, Writer& writer)
      : selection_(selection), host_(*selection.host), guest_(guest), w_(writer), tree_(writer, guest, host_.root()) {}

  void run() {
    w_.begin_node("");
    root_properties();
    chosen();
    aliases();
    tree_.memory();
    cpus();
    psci();
    interrupt_controller();
    timer();
    console();
    watchdog();
    pci();
    devices();
    w_.end_node();
  }

 private:
  void root_properties();
  void chosen();
  void aliases();
  void cpus();
  std::optional<Node> host_cpu(u64 id) const;
  bool resembles(usize cpu, Node place) const;
  usize count_cpus(Node place) const;
  void topology(Node place, std::string_view name);
  u32 cpu_phandle(usize index) const { return selection_.free_phandle + 1 + static_cast<u32>(index); }  // the first is the clock's
  void psci();
  void interrupt_controller();
  void timer();
  void console();
  void watchdog();
  void pci();
  void devices();

  const DeviceSelection& selection_;
  const Fdt& host_;
  const GuestMachine& guest_;
  Writer& w_;
  GuestTree tree_;
};

void Generator::root_properties() {
  const Node root = host_.root();
  for (std::string_view name : {"compatible", "model", "dma-coherent"}) {
    if (const auto p = root.property(name)) w_.copy(*p);
  }
  w_.property("#address-cells", root.address_cells());
  w_.property("#size-cells", root.size_cells());
  w_.property("interrupt-parent", selection_.gic_phandle);
}

void Generator::chosen() {
  w_.begin_node("chosen");
  tree_.chosen_properties(true);
  w_.end_node();
}

void Generator::aliases() {
  w_.begin_node("aliases");
  const bool own_console = !guest_.console.empty();
  std::array<char, 64> buffer;
  BufferSink path(buffer.data(), buffer.size());
  print(path, "/serial@{:x}", guest_.console.base.value());
  if (own_console) w_.string("serial0", path.view());
  if (const auto aliases = host_.find("/aliases")) {
    for (Property alias : aliases->properties()) {
      if (own_console && alias.name == "serial0") continue;
      const auto target = alias.as_string();
      const auto node = target && target->starts_with('/') ? host_.find(*target) : std::nullopt;
      if (!node) continue;
      const auto at = std::ranges::find(selection_.nodes, node->offset(), &NodeRecord::offset);
      if (selection_.includes(static_cast<usize>(at - selection_.nodes.begin()))) w_.copy(alias);
    }
  }
  w_.end_node();
}

std::optional<Node> Generator::host_cpu(u64 id) const {
  const auto cpus = host_.find("/cpus");
  if (!cpus) return std::nullopt;
  const Node above[] = {host_.root(), *cpus};
  std::optional<Node> any;
  for (Node node : cpus->children()) {
    if (node.string("device_type") != "cpu") continue;
    if (!any) any = node;
    const auto reg = host_.bus_reg(node, above, 0);
    if (reg && reg->address == id) return node;
  }
  return any;
}

void Generator::cpus() {
  const bool wide = std::ranges::any_of(guest_.cpus, [](const GuestCpu& cpu) { return cpu.mpidr >> 32 != 0; });
  const u32 address_cells = wide ? 2 : 1;
  w_.begin_node("cpus");
  w_.property("#address-cells", address_cells);
  w_.property("#size-cells", 0u);
  const auto map = host_.find("/cpus/cpu-map");
  const bool mapped = map && count_cpus(*map) == guest_.cpus.size();
  for (usize i = 0; i < guest_.cpus.size(); ++i) {
    const GuestCpu& cpu = guest_.cpus[i];
    const auto model = host_cpu(cpu.host_id);
    std::string_view compatible = model ? model->string("compatible") : std::string_view{};
    if (compatible.empty()) compatible = "arm,armv8";
    std::optional<u32> capacity;
    if (model && model->has("capacity-dmips-mhz")) capacity = model->cell_or("capacity-dmips-mhz", 0);
    tree_.cpu(cpu, address_cells, compatible, capacity, mapped ? std::optional(cpu_phandle(i)) : std::nullopt);
  }
  if (mapped) topology(*map, "cpu-map");
  w_.end_node();
}

// A vCPU is where the CPU that it resembles is. Linux takes no map that leaves a CPU out.
bool Generator::resembles(usize cpu, Node place) const {
  const auto model = host_cpu(guest_.cpus[cpu].host_id);
  const u32 phandle = place.cell_or("cpu", 0);
  return phandle != 0 && model && model->phandle() == phandle;
}

usize Generator::count_cpus(Node place) const {
  usize count = 0;
  for (usize i = 0; i < guest_.cpus.size(); ++i) count += resembles(i, place);
  for (Node child : place.children()) count += count_cpus(child);
  return count;
}

// Sockets, clusters, cores and threads are counted anew: those of a kind must have numbers from 0 on.
void Generator::topology(Node place, std::string_view name) {
  w_.begin_node(name);
  unsigned number = 0;
  for (Node child : place.children()) {
    const std::string_view kind = child.name().substr(0, child.name().find_last_not_of("0123456789") + 1);
    const auto next_name = [&](Sink& sink) { print(sink, "{}{}", kind, number++); };
    std::array<char, 32> buffer;
    for (usize i = 0; i < guest_.cpus.size(); ++i) {
      if (!resembles(i, child)) continue;
      BufferSink sink(buffer.data(), buffer.size());
      next_name(sink);
      w_.begin_node(sink.view());
      w_.property("cpu", cpu_phandle(i));
      w_.end_node();
    }
    if (child.has("cpu") || count_cpus(child) == 0) continue;
    BufferSink sink(buffer.data(), buffer.size());
    next_name(sink);
    topology(child, sink.view());
  }
  w_.end_node();
}

void Generator::psci() {
  w_.begin_node("psci");
  w_.strings("compatible", {"arm,psci-1.0", "arm,psci-0.2"});
  w_.string("method", "hvc");
  w_.end_node();
}

void Generator::interrupt_controller() {
  w_.begin_node(UnitName("interrupt-controller", guest_.distributor.base.value()));
  const Node host_gic(host_, selection_.nodes[selection_.gic].offset);
  if (guest_.gic_version == 2) {
    const auto compatible = host_gic.property("compatible");
    if (compatible && selection_.gic != 0) w_.copy(*compatible);
    else w_.string("compatible", "arm,gic-400");
    tree_.reg({guest_.distributor, guest_.cpu_interface});
  } else {
    w_.string("compatible", "arm,gic-v3");
    tree_.reg({guest_.distributor, guest_.redistributors});
    w_.property("#redistributor-regions", 1u);
  }
  w_.flag("interrupt-controller");
  w_.property("#interrupt-cells", fdt::kGicCells);
  // Interrupt maps of passed-through buses count the parent's address cells: keep the host's.
  if (const auto cells = host_gic.property("#address-cells"); cells && selection_.gic != 0) w_.copy(*cells);
  else w_.property("#address-cells", 0u);
  w_.property("phandle", selection_.gic_phandle);
  w_.end_node();
}

void Generator::timer() {
  u32 flags = fdt::kTriggerLevelHigh;
  if (guest_.gic_version == 2) flags |= ((1u << std::min(guest_.cpus.size(), kGicV2Cpus)) - 1) << kGicFirstCpuMaskBit;
  w_.begin_node("timer");
  w_.strings("compatible", {"arm,armv8-timer"});
  Cells interrupts;
  const TimerInfo& t = guest_.timer;
  for (u32 intid : {t.secure_physical_interrupt, t.physical_interrupt, t.virtual_interrupt, t.hypervisor_interrupt}) {
    if (intid < fdt::kGicFirstPpi || intid >= fdt::kGicFirstSpi) w_.abort(Error::InvalidArgument);
    interrupts.add(fdt::kGicPpi).add(intid - fdt::kGicFirstPpi).add(flags);
  }
  w_.cells("interrupts", interrupts);
  w_.flag("always-on");
  w_.end_node();
}

void Generator::console() {
  if (guest_.console.empty()) return;
  const u32 clock = selection_.free_phandle;
  w_.begin_node("console-clock");
  w_.string("compatible", "fixed-clock");
  w_.property("#clock-cells", 0u);
  w_.property("clock-frequency", guest_.console_clock_hz);
  w_.property("phandle", clock);
  w_.end_node();
  w_.begin_node(UnitName("serial", guest_.console.base.value()));
  w_.strings("compatible", {"arm,pl011", "arm,primecell"});
  tree_.reg({guest_.console});
  tree_.interrupt(guest_.console_interrupt, fdt::kTriggerLevelHigh);
  w_.cells("clocks", {clock, clock});
  w_.strings("clock-names", {"uartclk", "apb_pclk"});
  w_.end_node();
}

void Generator::watchdog() {
  if (guest_.watchdog.empty()) return;
  const u64 frame = guest_.watchdog.size / 2;
  w_.begin_node(UnitName("watchdog", guest_.watchdog.base.value()));
  w_.string("compatible", "arm,sbsa-gwdt");
  tree_.reg({{guest_.watchdog.base + frame, frame}, {guest_.watchdog.base, frame}});
  if (guest_.watchdog_interrupt != 0) tree_.interrupt(guest_.watchdog_interrupt, fdt::kTriggerLevelHigh);
  w_.end_node();
}

// The parent's address cells in an interrupt map are those of the interrupt controller.
void Generator::pci() {
  const GuestPciBridge& bridge = guest_.pci;
  if (bridge.ecam.empty()) return;
  constexpr u32 kMemory32 = 0x0200'0000, kMemory64 = 0x0300'0000, kPrefetchable = 0x4000'0000;
  constexpr unsigned kDeviceShift = 11;
  const u32 address_cells = host_.root().address_cells();
  w_.begin_node(UnitName("pcie", bridge.ecam.base.value()));
  w_.string("compatible", "pci-host-ecam-generic");
  w_.string("device_type", "pci");
  w_.property("#address-cells", 3u);
  w_.property("#size-cells", 2u);
  tree_.reg({bridge.ecam});
  w_.cells("bus-range", {0, 0});
  w_.property("linux,pci-domain", 0u);
  Cells ranges;
  for (const PciWindow& window : bridge.windows) {
    if (!fits_cells(window.base, address_cells)) return w_.abort(Error::OutOfRange);
    ranges.add((window.is_64bit() ? kMemory64 : kMemory32) | (window.prefetchable ? kPrefetchable : 0)).number(window.bus, 2);
    ranges.number(window.base, address_cells).number(window.size, 2);
  }
  w_.cells("ranges", ranges);
  w_.property("#interrupt-cells", 1u);
  w_.cells("interrupt-map-mask", {0xf800, 0, 0, 7});
  const Node host_gic(host_, selection_.nodes[selection_.gic].offset);
  const u32 gic_cells = selection_.gic != 0 ? host_gic.cell_or("#address-cells", 0) : 0;
  Cells map;
  for (const GuestPciLine& line : bridge.lines) {
    if (line.line < fdt::kGicFirstSpi) return w_.abort(Error::InvalidArgument);
    map.add(u32{line.device} << kDeviceShift).number(0, 2).add(line.pin).add(selection_.gic_phandle).number(0, gic_cells);
    map.add(fdt::kGicSpi).add(line.line - fdt::kGicFirstSpi).add(fdt::kTriggerLevelHigh);
  }
  w_.cells("interrupt-map", map);
  const Node host(host_, bridge.like);
  for (std::string_view name : {"dma-coherent", "dma-ranges"})
    if (const auto p = host.property(name)) w_.copy(*p);
  w_.end_node();
}

// The selected nodes in the host's order. Ancestors of a selected node are selected too, so the open nodes are always its way
// from the root.
void Generator::devices() {
  const fdt::NodeRange all = host_.nodes();
  usize open = 1;  // the root
  usize index = 0;
  for (auto it = all.begin(); it != all.end(); ++it, ++index) {
    if (index == 0 || !selection_.includes(index)) continue;
    for (; open >= it.depth(); --open) w_.end_node();
    const Node node = *it;
    w_.begin_node(node.name());
    ++open;
    for (Property property : node.properties()) {
      if (!selection_.dangles(index, property)) w_.copy(property);
    }
  }
  for (; open > 1; --open) w_.end_node();
}

// ---- supplied ----------------------------------------------------------------------------------------------------------

class Adapter {
 public:
  Adapter(const Fdt& supplied, const GuestMachine& guest, Writer& writer)
      : supplied_(supplied), guest_(guest), w_(writer), tree_(writer, guest, supplied.root()) {}

  void run() {
    w_.begin_node("");
    const Node root = supplied_.root();
    for (Property property : root.properties()) w_.copy(property);
    tree_.memory();
    if (!root.child("chosen")) chosen(std::nullopt);
    for (Node node : root.children()) {
      if (is_memory(node)) continue;
      if (node.name() == "chosen") chosen(node);
      else if (node.name() == "cpus") cpus(node);
      else copy_subtree(node);
    }
    w_.end_node();
  }

 private:
  void chosen(std::optional<Node> node);
  void cpus(Node node);
  void copy_subtree(Node node);

  const Fdt& supplied_;
  const GuestMachine& guest_;
  Writer& w_;
  GuestTree tree_;
};

void Adapter::chosen(std::optional<Node> node) {
  w_.begin_node("chosen");
  tree_.chosen_properties(false);
  if (node) {
    for (Property property : node->properties()) {
      const bool replaced = (property.name == "bootargs" && !guest_.command_line.empty()) ||
                            property.name == "linux,initrd-start" || property.name == "linux,initrd-end";
      if (!replaced) w_.copy(property);
    }
    for (Node child : node->children()) copy_subtree(child);
  }
  w_.end_node();
}

void Adapter::cpus(Node node) {
  const Node above[] = {supplied_.root(), node};
  const auto number_of = [&](Node cpu) -> std::optional<u64> {
    if (cpu.string("device_type") != "cpu") return std::nullopt;
    const auto reg = supplied_.bus_reg(cpu, above, 0);
    return reg ? std::optional(reg->address) : std::nullopt;
  };
  const auto has_vcpu = [&](u64 number) {
    return std::ranges::find(guest_.cpus, number, &GuestCpu::mpidr) != guest_.cpus.end();
  };
  bool all_stay = true;
  for (Node child : node.children()) {
    const auto number = number_of(child);
    if (number && !has_vcpu(*number)) all_stay = false;
  }
  w_.begin_node("cpus");
  for (Property property : node.properties()) w_.copy(property);
  for (Node child : node.children()) {
    const auto number = number_of(child);
    if (number && !has_vcpu(*number)) continue;
    // A topology that names CPUs which are gone would be refused as a whole.
    if (child.name() == "cpu-map" && !all_stay) continue;
    copy_subtree(child);
  }
  for (const GuestCpu& cpu : guest_.cpus) {
    bool listed = false;
    for (Node child : node.children()) listed = listed || number_of(child) == cpu.mpidr;
    if (!listed) tree_.cpu(cpu, node.address_cells(), "arm,armv8", std::nullopt, std::nullopt);
  }
  w_.end_node();
}

void Adapter::copy_subtree(Node top) {
  usize depth = 0;
  for (u32 offset = top.offset();;) {
    const fdt::Token token = supplied_.token_at(offset);
    offset = token.next;
    switch (token.kind) {
      case fdt::Token::Kind::BeginNode:
        w_.begin_node(token.name);
        ++depth;
        break;
      case fdt::Token::Kind::Property: w_.bytes(token.name, token.data); break;
      case fdt::Token::Kind::EndNode:
        w_.end_node();
        if (--depth == 0) return;
        break;
      case fdt::Token::Kind::End:
      case fdt::Token::Kind::Bad: return w_.abort(Error::Malformed);
    }
  }
}

}  // namespace

Result<usize> write_guest_fdt(const DeviceSelection& selection, const GuestMachine& guest, std::span<std::byte> out) {
  if (selection.nodes.empty()) return fail(Error::InvalidArgument);
  Writer writer(out);
  if (!guest.reserved.empty()) writer.reserve(guest.reserved.base.value(), guest.reserved.size);
  Generator(selection, guest, writer).run();
  return writer.finish();
}

Result<usize> adapt_guest_fdt(const Fdt& supplied, const GuestMachine& guest, std::span<std::byte> out) {
  Writer writer(out);
  for (usize i = 0; i < supplied.reservation_count(); ++i) {
    writer.reserve(supplied.reservation(i).address, supplied.reservation(i).size);
  }
  if (!guest.reserved.empty()) writer.reserve(guest.reserved.base.value(), guest.reserved.size);
  Adapter(supplied, guest, writer).run();
  return writer.finish();
}

}  // namespace hv
