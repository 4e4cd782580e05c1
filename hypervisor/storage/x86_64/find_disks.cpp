// A PC's disks are on PCI, and firmware has given them their addresses.
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/storage/disks.hpp"
#include "hypervisor/storage/pci_disks.hpp"
#include "kernel/drivers/cmos_clock.hpp"

namespace hv {

u64 unix_time() { return drivers::time_of_day(); }

void find_disks(Hypervisor& hypervisor, Disks& disks) {
  for (const acpi::PciSegment& segment : hypervisor.machine().pc.pci) find_pci_disks(disks, segment, {});
}

}  // namespace hv
