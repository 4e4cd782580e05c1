// How the x86 half of a VM comes into being: nested paging, the PC, boot images, passthrough.
#include <algorithm>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 kLowest4GiB = 4096_MiB;

}  // namespace

Result<void> ArchVm::create_translation() {
  u64 highest = kLowest4GiB - 1;  // whatever is not memory there leaves the guest, too
  for (const GuestRegion& region : vm_.regions()) highest = std::max(highest, region.gpa.end().value() - 1);
  Virtualization& machine = vm_.hypervisor().guest_execution().virtualization();
  auto translation = NestedPaging::create(Gpa(highest), machine.nested(), vm_.frames());
  if (!translation) return vm_.reject(translation.error(), "has memory beyond what this CPU can translate");
  translation_.emplace(std::move(*translation));
  ports_.emplace(TRY(PortPermissions::create(vm_.frames())));
  return {};
}

Result<void> ArchVm::prepare(Vcpu& vcpu) {
  GuestExecution& execution = vm_.hypervisor().guest_execution();
  timers_[vcpu.index].vm = this;
  timers_[vcpu.index].vcpu = vcpu.index;
  return vcpu.arch.create(execution.virtualization(), vm_.hypervisor().heap(), vm_.frames(),
                          {.translation = *translation_, .port_permissions = ports_->address()}, execution.xcr0());
}

void ArchVm::destroy_translation() {
  ports_.reset();
  translation_.reset();
}

bool ArchVm::belongs_to_host(const MachineInfo& machine, HpaRange range) {
  const PcInfo& pc = machine.pc;
  const auto overlaps = [&](const HpaRange& other) { return range.overlaps(other); };
  return overlaps(pc.local_apic) || overlaps({pc.hpet, kPageSize}) ||
         std::ranges::any_of(pc.io_apics, [&](const acpi::IoApic& io_apic) { return overlaps(io_apic.registers); }) ||
         std::ranges::any_of(pc.pci, [&](const acpi::PciSegment& segment) { return overlaps(segment.registers); });
}

}  // namespace hv
