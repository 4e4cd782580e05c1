// Disks on PCI.
#pragma once

#include <span>

#include "hypervisor/device/pci/pci_window.hpp"
#include "kernel/acpi/description.hpp"

namespace hv {

class Disks;

/// Claims and adds the virtio disks and SD cards behind one host bridge, but for functions that a configured VM names. What firmware gave
/// no addresses gets some in `windows`, if it is on the first bus. Manager thread.
void find_pci_disks(Disks& disks, const acpi::PciSegment& segment, std::span<const PciWindow> windows);

}  // namespace hv
