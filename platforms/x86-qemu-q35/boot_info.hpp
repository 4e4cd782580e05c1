// What a boot loader says about the machine, whichever protocol it speaks. Plain logic, no hardware access.
#pragma once

#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/mm/physical_window.hpp"
#include "platforms/machine_info.hpp"

namespace ax::platform {

struct BootInfo {
  std::string_view protocol{};
  StaticVector<HpaRange, kMaxMemoryRanges> ram{};         ///< whole pages, sorted, disjoint
  StaticVector<HpaRange, kMaxReservedRanges> reserved{};  ///< whole pages, sorted, disjoint; may overlap `ram`
  StaticVector<ModuleInfo, kMaxModules> modules{};
  std::string_view command_line{};
  Hpa rsdp{};               ///< 0: the loader knows of none
  bool incomplete = false;  ///< more ranges or modules than fit were left out
};

/// Reads the information of Multiboot 1, Multiboot 2 or PVH; `magic` is EAX at entry (PVH_MAGIC for PVH), `address` is
/// EBX. Texts are copied to `texts`, because nobody protects the loader's memory later on; what does not fit is cut
/// off. Errors: NotSupported (an unknown magic), NotFound (no memory map), Malformed, OutOfRange (a structure cannot be
/// read).
Result<BootInfo> read_boot_info(const mm::PhysicalWindow& memory, u32 magic, Hpa address, std::span<char> texts);

}  // namespace ax::platform
