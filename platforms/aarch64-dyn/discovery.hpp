// Reads a machine's description out of its device tree: FDT -> MachineInfo. Plain logic, no hardware access.
#pragma once

#include "platforms/common/fdt_discovery.hpp"

namespace ax::platform {

/// What the platform knows besides the tree.
struct BootFacts {
  Hpa fdt_address{};        ///< where the tree lies, so that nobody allocates it
  u64 boot_cpu_id = 0;      ///< affinity fields of the boot CPU's MPIDR_EL1
  bool runs_guests = true;  ///< a GICv2 needs the registers for virtual interrupts
};

/// MPIDR_EL1 bits that identify a CPU: Aff3 and Aff2..Aff0 (Arm ARM D19.2.101).
inline constexpr u64 kMpidrAffinityMask = 0xff'00ff'ffff;

/// Fills everything of `machine` but `image`: CPUs that can be started (the boot CPU first), RAM (whole pages, sorted,
/// disjoint), reserved ranges (sorted, disjoint; the tree and the initrd included), console, GIC, timers, PSCI, modules,
/// model and command line. Texts refer to the tree's blob and to `names`; both must outlive `machine`.
/// Any context, also before the MMU is on. Errors, with findings.reason: NotFound (no RAM, no GIC, GIC registers missing),
/// OutOfMemory (more reserved ranges than MachineInfo holds), or the reader's error for an unreadable entry.
Result<void> discover(const fdt::Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names,
                      DiscoveryFindings& findings);

}  // namespace ax::platform
