// The image's own address space: VA = PA, W^X. Guarded stacks lie elsewhere: StackWindow.
#pragma once

#include <arch/level.hpp>
#include <arch/tlb.hpp>
#include <type_traits>

#include "kernel/mm/arm_stage1_el1.hpp"
#include "kernel/mm/arm_stage1_el2.hpp"
#include "kernel/mm/frame_allocator.hpp"
#include "platforms/common/memory_map.hpp"
#include "platforms/common/stack_window.hpp"

namespace ax::platform {

inline constexpr bool kAtEl2 = arch::kExceptionLevel == 2;
using HostFormat = std::conditional_t<kAtEl2, mm::ArmStage1El2Format, mm::ArmStage1El1Format>;
using HostTlb = std::conditional_t<kAtEl2, mm::ArmStage1El2Tlb<arch::Tlb>, mm::ArmStage1El1Tlb<arch::Tlb>>;
using HostTable = mm::PageTable<HostFormat, HostTlb>;

using StackWindow = StackPlaces<u64{1} << 47>;

/// The table that boot.S has made: the image's 2 MiB blocks. More may be added.
HostTable early_table();

/// The final map. Text is read-execute, constants read-only, data and RAM read-write and not executable; the device tree and
/// the boot loader's modules are read-only; registers are device memory. Reserved memory is not mapped: speculation must not
/// reach what firmware keeps to itself. The pages below the boot CPU's stacks are holes.
/// Errors: OutOfMemory when the pool is too small for a very fragmented machine, or what the table says.
Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine);

}  // namespace ax::platform
