// What axvisor.ld, boot.S and vectors.S define.
#pragma once

#include "kernel/base/types.hpp"

extern "C" {
#define AX_LINKER_SYMBOL(name) [[gnu::visibility("hidden")]] extern const char name[]
AX_LINKER_SYMBOL(__image_start);
AX_LINKER_SYMBOL(__text_end);
AX_LINKER_SYMBOL(__rodata_end);
AX_LINKER_SYMBOL(__image_end);
AX_LINKER_SYMBOL(__build_id_start);
AX_LINKER_SYMBOL(__build_id_end);
AX_LINKER_SYMBOL(ax_early_tables);
AX_LINKER_SYMBOL(ax_table_pool);
AX_LINKER_SYMBOL(ax_boot_stack_guard);
AX_LINKER_SYMBOL(ax_boot_stack_top);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_guard);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_top);
#undef AX_LINKER_SYMBOL

/// PSCI entry of secondary CPUs.
void ax_start_secondary();
/// Replaces this CPU's translation; see boot.S.
void ax_set_translation(ax::u64 root, ax::u64 sctlr);
/// Where the image was linked to run.
ax::u64 ax_link_address();
}

namespace ax::platform {

/// The image is identity-mapped.
inline Hpa address_of(const void* symbol) { return Hpa(reinterpret_cast<u64>(symbol)); }

/// Bytes between where the image was linked to run and where it does. `address - load_offset()` is what ELF files and
/// symbolisers know.
inline u64 load_offset() { return address_of(__image_start).value() - ax_link_address(); }

}  // namespace ax::platform
