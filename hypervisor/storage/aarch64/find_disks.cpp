// Virtio disks that the machine's device tree describes.
#include <algorithm>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/storage/disks.hpp"
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

}  // namespace

u64 unix_time() { return 0; }

void find_disks(Hypervisor& hypervisor, Disks& disks) {
  const auto tree = fdt::Fdt::parse(hypervisor.machine().fdt);
  if (!tree) return;
  // A VM's device may be on the same page as a disk: what is named is known before the first is claimed.
  StaticVector<HpaRange, DeviceOwners::kMaxRanges> named;
  const auto for_each = [&](auto action) {
    for (fdt::Node node : tree->nodes()) {
      if (!node.is_enabled() || !node.is_compatible("virtio,mmio")) continue;
      if (const auto registers = tree->reg(node); registers && registers->size >= drivers::VirtioMmio::kSize)
        action(node, HpaRange{Hpa(registers->address), registers->size});
    }
  };
  for_each([&](fdt::Node node, HpaRange registers) {
    if (is_named(*tree, node)) static_cast<void>(named.push_back(DeviceOwners::pages_around(registers)));
  });
  for_each([&](fdt::Node node, HpaRange registers) {
    const auto shares_page = [&](const HpaRange& page) { return page.overlaps(registers); };
    if (std::ranges::any_of(named, shares_page) || !platform::map_device(registers)) return;
    const auto transport = drivers::VirtioMmio::probe(registers.base, drivers::kVirtioBlockDevice);
    if (transport && disks.claim({&registers, 1})) disks.add(*transport, node.name());
  });
}

}  // namespace hv
