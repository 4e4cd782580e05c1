// The hypervisor's own address space: VA = PA, W^X. Guarded stacks lie elsewhere: StackWindow.
#pragma once

#include <arch/cpu.hpp>
#include <arch/tlb.hpp>

#include "kernel/mm/x86_long_mode.hpp"
#include "platforms/common/memory_map.hpp"
#include "platforms/common/stack_window.hpp"

namespace ax::platform {

using HostTable = mm::PageTable<mm::X86LongModeFormat, mm::X86LongModeTlb<arch::Tlb>>;

using StackWindow = StackPlaces<u64{1} << 46>;

/// The tables that this CPU uses, whichever they are; to be read only.
inline HostTable live_table() { return HostTable({}, {}, mm::X86LongModeFormat::output(arch::CR3::read())); }

/// The final map. Text is read-execute, constants read-only, data and RAM read-write and not executable; the boot
/// loader's modules are read-only; registers are uncached. Reserved memory is not mapped: speculation must not reach
/// what firmware keeps to itself. The pages below the boot CPU's stacks are holes. Errors: OutOfMemory when the pool is
/// too small for a very fragmented machine, or what the table says.
Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine);

}  // namespace ax::platform
