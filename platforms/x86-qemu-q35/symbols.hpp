// What axvisor.ld, boot.S and vectors.S define.
#pragma once

#include "kernel/base/types.hpp"
#include "platforms/common/image.hpp"

extern "C" {
AX_LINKER_SYMBOL(ax_early_tables);
AX_LINKER_SYMBOL(ax_table_pool);
AX_LINKER_SYMBOL(ax_boot_stack_guard);
AX_LINKER_SYMBOL(ax_boot_stack_top);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_guard);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_top);
AX_LINKER_SYMBOL(ax_boot_nmi_stack_guard);
AX_LINKER_SYMBOL(ax_boot_nmi_stack_top);
AX_LINKER_SYMBOL(ax_vectors);
AX_LINKER_SYMBOL(ax_trampoline);
AX_LINKER_SYMBOL(ax_trampoline_end);

/// Reloads CS and the data segments; see boot.S.
void ax_load_segments();
}
