// The image's own address space: VA = PA, W^X. Guarded stacks lie elsewhere: StackWindow.
#pragma once

#include <arch/tlb.hpp>

#include "kernel/mm/riscv_sv39.hpp"
#include "platforms/common/memory_map.hpp"
#include "platforms/common/stack_window.hpp"

namespace ax::platform {

using HostTable = mm::PageTable<mm::RiscvSv39Format, mm::RiscvTlb<arch::Tlb>>;

/// Sv39 has 2^38 bytes for all: physical memory below, stacks, then from 2^37 on what a program maps.
inline constexpr u64 kEndOfStacks = u64{1} << 37;
using StackWindow = StackPlaces<kEndOfStacks - 8_GiB>;
static_assert(StackWindow::kEnd <= kEndOfStacks);

/// The final map. Text is read-execute, constants read-only, data and RAM read-write and not executable; the device tree and
/// the boot loader's modules are read-only. Reserved memory is not mapped. The pages below the boot CPU's stacks are holes.
/// Errors: OutOfMemory when the pool is too small for a very fragmented machine, or what the table says.
Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine);

/// Where the tables that this CPU uses lead, whichever they are and whatever is in them; nothing while translation is off.
std::optional<mm::Translation> live_translation(Hva address);

/// Makes the other CPUs, where some run, forget what they remember of the tables. Complete on return.
void flush_other_tlbs();

/// From now on this CPU translates by `table`.
void use_table(const HostTable& table);

}  // namespace ax::platform
