// Feeds one blob, whatever it is, to everything that reads device trees. Entry point of libFuzzer and of the mutation test.
#include <cstdlib>
#include <vector>

#include "hypervisor/vm/guest_fdt.hpp"
#include "platforms/aarch64-dyn/discovery.hpp"

namespace {

using namespace ax;

/// Ends the run: a broken promise of the code under test, which a sanitizer cannot see.
void require(bool condition) {
  if (!condition) std::abort();
}

/// Uses every accessor on every node, with a sum so that no read is optimised away.
u64 visit(const fdt::Fdt& tree) {
  u64 sum = 0;
  char path[128];
  const fdt::NodeRange all = tree.nodes();
  for (auto it = all.begin(); it != all.end(); ++it) {
    const fdt::Node node = *it;
    require(it.depth() <= fdt::kMaxDepth);
    for (fdt::Property p : node.properties()) {
      sum += p.name.size() + p.as_u64().value_or(0) + p.as_string().value_or("").size();
      for (std::string_view s : p.strings()) sum += s.size();
      for (std::byte b : p.data) sum += static_cast<u8>(b);
    }
    for (fdt::Node child : node.children()) sum += child.name().size();
    sum += node.is_enabled() + node.phandle().value_or(0);
    const fdt::Ancestors above = tree.ancestors(node);
    for (usize i = 0; i < 4; ++i) {
      const auto region = tree.reg(node, above, i);
      if (region) require(region->address + region->size >= region->address);
      if (const auto interrupt = tree.interrupt(node, above, i)) {
        if (const auto decoded = fdt::decode_gic_interrupt(*interrupt)) require(decoded->intid < hv::kInterruptLimit);
      }
    }
    if (const auto text = tree.path(node, path)) {
      const auto found = tree.find(*text);  // the first of several nodes with that path
      require(!found || found->offset() <= node.offset());
    }
  }
  return sum;
}

void build_guest(const fdt::Fdt& tree, const MachineInfo& machine) {
  static std::vector<hv::NodeRecord> records(2048);
  static std::vector<std::byte> out(1 << 18);
  const hv::PassthroughDevice everything[] = {{.name = "/", .by_path = true}};
  hv::VmConfig config;
  config.passthrough_devices = everything;
  hv::DeviceSelection selection;
  if (!hv::select_devices(tree, machine, config, {}, records, selection)) return;
  for (const HpaRange& range : selection.resources.mmio) {
    require(range.fits() && !range.overlaps(machine.console.registers) && !range.overlaps(machine.gic.distributor));
    for (const HpaRange& ram : machine.ram) require(!range.overlaps(ram));
  }
  const GpaRange ram[] = {{Gpa(0x4000'0000), 64_MiB}};
  const hv::GuestCpu cpus[] = {{0, 0}, {1, 1}};
  hv::GuestMachine guest;
  guest.ram = ram;
  guest.cpus = cpus;
  guest.gic_version = machine.gic.version;
  guest.console = {Gpa(0x900'0000), kPageSize};
  guest.console_interrupt = 33;
  if (const auto size = hv::write_guest_fdt(selection, guest, out)) require(fdt::Fdt::parse(std::span(out).first(*size)).has_value());
  if (const auto size = hv::adapt_guest_fdt(tree, guest, out)) require(fdt::Fdt::parse(std::span(out).first(*size)).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> blob(reinterpret_cast<const std::byte*>(data), reinterpret_cast<const std::byte*>(data) + size);
  const auto tree = fdt::Fdt::parse(blob);
  if (!tree) return 0;
  (void)visit(*tree);
  MachineInfo machine;
  std::array<char, platform::kDiscoveryNamesSize> names;
  platform::DiscoveryFindings findings;
  const auto found = platform::discover(*tree, {Hpa(0x4800'0000), 0}, machine, names, findings);
  require(found.has_value() || !findings.reason.empty());
  for (usize i = 1; i < machine.ram.size(); ++i) require(!found || machine.ram[i - 1].end() < machine.ram[i].base);
  build_guest(*tree, machine);
  return 0;
}
