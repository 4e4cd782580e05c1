// Virtio disks that the machine's device tree describes.
#include <optional>

#include "kernel/drivers/virtio_mmio.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/file/disk.hpp"

namespace ax::uni {
namespace {

constinit std::optional<fdt::Interrupt> interrupt;

}  // namespace

drivers::VirtioTransport* find_disk() {
  static constinit std::optional<drivers::VirtioMmio> disk;
  const auto tree = fdt::Fdt::parse(platform::machine().fdt);
  if (!tree) return nullptr;
  const fdt::NodeRange nodes = tree->nodes();
  for (auto at = nodes.begin(); at != nodes.end(); ++at) {
    const fdt::Node node = *at;
    if (!node.is_enabled() || !node.is_compatible("virtio,mmio")) continue;
    fdt::Ancestors ancestors;  // the tree would be searched for them
    for (usize level = 1; level < at.depth(); ++level) static_cast<void>(ancestors.push_back(at.at_depth(level)));
    const auto registers = tree->reg(node, ancestors, 0);
    if (!registers || registers->size < drivers::VirtioMmio::kSize) continue;
    if (!platform::map_device({Hpa(registers->address), registers->size})) continue;
    const auto probed = drivers::VirtioMmio::probe(Hpa(registers->address), drivers::kVirtioBlockDevice);
    if (!probed) continue;
    if (const auto found = tree->interrupt(node, ancestors, 0)) interrupt.emplace(*found);
    return &disk.emplace(*probed);
  }
  return nullptr;
}

Result<void> attach_disk(void (*handler)()) {
  if (!interrupt) return fail(Error::NotFound);
  return attach_device(std::span(interrupt->cells).first(interrupt->cell_count), handler);
}

}  // namespace ax::uni
