// Disks that the machine's device tree describes: virtio, SD cards, memory.
#include <algorithm>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/storage/disks.hpp"
#include "hypervisor/storage/pci_disks.hpp"
#include "hypervisor/vm/pci_host_bridge.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

/// Whether a VM names the node or one above it.
bool is_named(const fdt::Fdt& tree, fdt::Node node) {
  const auto names = [&](const PassthroughDevice& device) {
    if (!device.by_path || device.name == "/") return false;
    const auto named = tree.find(device.name);
    if (!named) return false;
    const fdt::Ancestors above = tree.ancestors(node);
    return *named == node || std::ranges::find(above, *named) != above.end();
  };
  return std::ranges::any_of(kStaticVmConfigs, [&](const VmConfig& vm) { return std::ranges::any_of(vm.passthrough_devices, names); });
}

enum class Kind : u8 { None, Virtio, Card };

/// Controllers that do as the specification says without help from a driver of their own.
constexpr std::string_view kSdHosts[] = {"arasan,sdhci-8.9a", "arasan,sdhci-5.1", "arasan,sdhci-4.9a", "xlnx,zynqmp-8.9a", "xlnx,versal-8.9a"};

Kind kind_of(fdt::Node node) {
  if (!node.is_enabled()) return Kind::None;
  if (node.is_compatible("virtio,mmio")) return Kind::Virtio;
  const bool is_host = board::kFeatureSdmmc && std::ranges::any_of(kSdHosts, [&](std::string_view model) { return node.is_compatible(model); });
  return is_host ? Kind::Card : Kind::None;
}

/// Reserved memory in which the boot loader left a disk, as Linux's driver phram knows it.
void find_memory(const fdt::Fdt& tree, Disks& disks) {
  for (fdt::Node node : tree.nodes()) {
    if (!node.is_enabled() || !node.is_compatible("phram")) continue;
    const auto region = tree.reg(node);
    if (!region) continue;
    const HpaRange memory{Hpa(region->address), region->size};
    const auto taken = platform::frames().lock()->allocate_reserved(memory, mm::Owner::host());
    if (taken && platform::map_memory(memory)) disks.add_memory(memory, true, node.name());
  }
}

}  // namespace

u64 unix_time() { return 0; }

void find_disks(Hypervisor& hypervisor, Disks& disks) {
  const auto tree = fdt::Fdt::parse(hypervisor.machine().fdt);
  if (!tree) return;
  // A VM's device may be on the same page as a disk: what is named is known before the first is claimed.
  StaticVector<HpaRange, DeviceOwners::kMaxRanges> named;
  const auto for_each = [&](auto action) {
    for (fdt::Node node : tree->nodes()) {
      const Kind kind = kind_of(node);
      if (kind == Kind::None) continue;
      const u64 size = kind == Kind::Virtio ? drivers::VirtioMmio::kSize : drivers::Sdhci::kRegisters;
      if (const auto registers = tree->reg(node); registers && registers->size >= size)
        action(kind, node, HpaRange{Hpa(registers->address), registers->size});
    }
  };
  for_each([&](Kind, fdt::Node node, HpaRange registers) {
    if (is_named(*tree, node)) static_cast<void>(named.push_back(DeviceOwners::pages_around(registers)));
  });
  for_each([&](Kind kind, fdt::Node node, HpaRange registers) {
    const auto shares_page = [&](const HpaRange& page) { return page.overlaps(registers); };
    if (std::ranges::any_of(named, shares_page) || !platform::map_device(registers)) return;
    if (kind == Kind::Card) {
      if (disks.claim({&registers, 1})) disks.add_card(registers.base, node.name());
      return;
    }
    const auto transport = drivers::VirtioMmio::probe(registers.base, drivers::kVirtioBlockDevice);
    if (transport && disks.claim({&registers, 1})) disks.add(*transport, node.name());
  });
  for (u16 segment = 0; const auto bridge = find_pci_host_bridge(*tree, segment); ++segment) find_pci_disks(disks, bridge->segment, bridge->windows);
  find_memory(*tree, disks);
}

}  // namespace hv
