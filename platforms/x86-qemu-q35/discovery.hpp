// Reads a machine's description out of the boot loader's information and ACPI's tables: -> MachineInfo. Plain logic, no
// hardware access.
#pragma once

#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/mm/physical_window.hpp"
#include "platforms/machine_info.hpp"
#include "platforms/x86-qemu-q35/boot_info.hpp"

namespace ax::platform {

/// What the platform knows besides the tables.
struct BootFacts {
  u32 boot_apic_id = 0;
  bool has_x2apic = false;  ///< APIC ids above 254 can be reached
};

/// What a report says about a discovery. All texts are literals.
struct DiscoveryFindings {
  StaticVector<std::string_view, 16> warnings{};  ///< what was left out or assumed; later ones are dropped when full
  Hpa trampoline{};                               ///< a page below 1 MiB for starting CPUs, in reserved memory; 0: none
};

/// Fills everything of `machine` but `image` and `console`: CPUs (the boot CPU first), RAM (whole pages, sorted,
/// disjoint), reserved ranges (sorted, disjoint; modules included), what ACPI says, modules and command line. A machine
/// without usable ACPI tables is a machine with one CPU. Errors: OutOfMemory (more reserved ranges than MachineInfo
/// holds).
Result<void> discover(const mm::PhysicalWindow& memory, const BootInfo& info, const BootFacts& facts,
                      MachineInfo& machine, DiscoveryFindings& findings);

}  // namespace ax::platform
