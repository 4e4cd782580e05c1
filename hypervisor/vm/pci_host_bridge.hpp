// The machine's PCI host bridges as its device tree describes them (Devicetree bindings: host-generic-pci; IEEE 1275 PCI bus binding).
// Plain logic.
#pragma once

#include "hypervisor/device/pci/pci_window.hpp"
#include "kernel/acpi/description.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/fdt/reader.hpp"

namespace hv {

/// One with its configuration space in memory, and all functions behind it.
struct PciHostBridge {
  u32 node = 0;  ///< its offset in the tree
  acpi::PciSegment segment{};
  StaticVector<PciWindow, 4> windows{};  ///< of memory
};

/// The enabled `pci-host-ecam-generic` bridge whose `linux,pci-domain` is `segment`; those without one count from 0, in document
/// order. Errors: NotFound, Malformed (no registers, or fewer than its buses need).
Result<PciHostBridge> find_pci_host_bridge(const fdt::Fdt& tree, u16 segment);

/// Where the interrupt of pin `pin` (1 to 4) of device `device` on the bridge's first bus arrives: `interrupt-map`. Errors: NotFound (it
/// has no entry for that), NotSupported (it does not arrive at the GIC).
Result<fdt::GicInterrupt> find_pci_interrupt(const fdt::Fdt& tree, const PciHostBridge& bridge, u8 device, u8 pin);

/// Whether `range` has configuration space of a bridge.
bool is_pci_configuration_space(const fdt::Fdt& tree, HpaRange range);

}  // namespace hv
