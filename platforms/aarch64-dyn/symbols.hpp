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

/// PSCI entry of secondary CPUs.
void ax_start_secondary();
/// Replaces this CPU's translation; see boot.S.
void ax_set_translation(ax::u64 root, ax::u64 sctlr);
}
