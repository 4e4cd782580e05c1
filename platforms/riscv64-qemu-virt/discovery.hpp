// Reads a machine's description out of its device tree: FDT -> MachineInfo. Plain logic, no hardware access.
#pragma once

#include "platforms/common/fdt_discovery.hpp"

namespace ax::platform {

/// What the platform knows besides the tree.
struct BootFacts {
  Hpa fdt_address{};  ///< where the tree lies, so that nobody allocates it
  u64 boot_hart = 0;
  bool starts_harts = true;    ///< the firmware does
  Hpa end_of_memory{~u64{0}};  ///< RAM from here on is left out: the page tables do not reach it
};

/// Fills everything of `machine` but `image`: CPUs that can be started (the boot CPU first), RAM (whole pages, sorted,
/// disjoint), reserved ranges (sorted, disjoint; the tree and the initrd included), console, PLIC with the CPUs' contexts, timer
/// frequency, modules, model and command line. Texts refer to the tree's blob and to `names`; both must outlive `machine`.
/// Without a serial port that is known the console is the firmware's. Any context. Errors, with findings.reason: NotFound (no
/// RAM, no timer frequency), OutOfMemory (more reserved ranges than MachineInfo holds), or the reader's error for an unreadable
/// entry.
Result<void> discover(const fdt::Fdt& tree, const BootFacts& facts, MachineInfo& machine, std::span<char> names,
                      DiscoveryFindings& findings);

}  // namespace ax::platform
