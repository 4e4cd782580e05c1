#include "hypervisor/vm/pci_host_bridge.hpp"

#include <algorithm>

#include "kernel/fdt/format.hpp"

namespace hv {
namespace {

using fdt::Fdt;
using fdt::Node;
using fdt::Property;

constexpr std::string_view kModel = "pci-host-ecam-generic";

// The bus' addresses: what is in which space, in the first of three cells.
constexpr usize kBusCells = 3, kSizeCells = 2, kPinCells = 1;
constexpr u32 kSpaceShift = 24, kSpaceMask = 3, kMemory32 = 2, kMemory64 = 3, kPrefetchable = 1u << 30;
constexpr unsigned kDeviceShift = 11, kBusShift = 16;
constexpr u64 kBytesPerBus = 1_MiB;

Result<acpi::PciSegment> read_segment(const Fdt& tree, Node node, u16 number) {
  const auto registers = tree.reg(node);
  if (!registers) return fail(Error::Malformed);
  u32 first = 0, last = 0xff;
  if (const auto range = node.property("bus-range"); range && range->cell_count() == 2) {
    first = *range->cell(0);
    last = *range->cell(1);
  }
  const u64 buses = registers->size / kBytesPerBus;
  if (buses == 0 || first > last || last > 0xff) return fail(Error::Malformed);
  last = static_cast<u32>(std::min<u64>(last, first + buses - 1));
  return acpi::PciSegment{.registers = {Hpa(registers->address), registers->size},
                          .segment = number,
                          .first_bus = static_cast<u8>(first),
                          .last_bus = static_cast<u8>(last)};
}

// A window whose CPU address cannot be expressed, or with no size, is none.
void read_windows(const Fdt& tree, Node node, PciHostBridge& bridge) {
  const auto ranges = node.property("ranges");
  const auto parent = tree.parent(node);
  if (!ranges || !parent) return;
  const usize address_cells = parent->address_cells(), row = kBusCells + address_cells + kSizeCells;
  for (usize at = 0; at + row <= ranges->cell_count(); at += row) {
    const u32 kind = *ranges->cell(at), space = kind >> kSpaceShift & kSpaceMask;
    const auto bus = ranges->number(at + 1, 2), base = ranges->number(at + kBusCells, address_cells),
               size = ranges->number(at + kBusCells + address_cells, kSizeCells);
    if ((space != kMemory32 && space != kMemory64) || !base || *size == 0) continue;
    if (*base + *size < *base || *bus + *size < *bus) continue;
    static_cast<void>(bridge.windows.push_back(
        {.bus = *bus, .base = *base, .size = *size, .prefetchable = (kind & kPrefetchable) != 0}));
  }
}

}  // namespace

Result<PciHostBridge> find_pci_host_bridge(const Fdt& tree, u16 segment) {
  u32 unnumbered = 0;
  for (auto node = tree.find_compatible(kModel); node; node = tree.find_compatible(kModel, node)) {
    if (!node->is_enabled()) continue;
    const auto domain = node->property("linux,pci-domain");
    if ((domain ? domain->as_u32().value_or(~u32{0}) : unnumbered++) != segment) continue;
    PciHostBridge bridge{.node = node->offset(), .segment = TRY(read_segment(tree, *node, segment))};
    read_windows(tree, *node, bridge);
    return bridge;
  }
  return fail(Error::NotFound);
}

Result<fdt::GicInterrupt> find_pci_interrupt(const Fdt& tree, const PciHostBridge& bridge, u8 device, u8 pin) {
  const Node node(tree, bridge.node);
  const auto map = node.property("interrupt-map"), mask = node.property("interrupt-map-mask");
  if (!map) return fail(Error::NotFound);
  const std::array<u32, kBusCells + kPinCells> wanted{u32{bridge.segment.first_bus} << kBusShift | u32{device} << kDeviceShift, 0, 0, pin};
  for (usize at = 0; at + wanted.size() < map->cell_count();) {
    bool matches = true;
    for (usize i = 0; i < wanted.size(); ++i) {
      const u32 bits = mask ? mask->cell(i).value_or(~u32{0}) : ~u32{0};
      matches = matches && (*map->cell(at + i) & bits) == (wanted[i] & bits);
    }
    const auto controller = tree.find_phandle(*map->cell(at + wanted.size()));
    if (!controller) return fail(Error::NotFound);
    fdt::Interrupt interrupt{.controller = *controller, .cell_count = controller->cell_or("#interrupt-cells", 0)};
    const usize cells = at + wanted.size() + 1 + controller->cell_or("#address-cells", 0);
    if (interrupt.cell_count > fdt::kMaxInterruptCells || cells + interrupt.cell_count > map->cell_count()) return fail(Error::NotSupported);
    for (usize i = 0; i < interrupt.cell_count; ++i) interrupt.cells[i] = *map->cell(cells + i);
    if (matches) return fdt::decode_gic_interrupt(interrupt);
    at = cells + interrupt.cell_count;
  }
  return fail(Error::NotFound);
}

bool is_pci_configuration_space(const Fdt& tree, HpaRange range) {
  for (auto node = tree.find_compatible(kModel); node; node = tree.find_compatible(kModel, node)) {
    const auto registers = tree.reg(*node);
    if (registers && range.overlaps({Hpa(registers->address), registers->size})) return true;
  }
  return false;
}

}  // namespace hv
