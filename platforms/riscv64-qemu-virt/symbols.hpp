// What the linker script, boot.S and vectors.S define.
#pragma once

#include "kernel/base/types.hpp"
#include "platforms/common/image.hpp"

extern "C" {
AX_LINKER_SYMBOL(ax_table_pool);
AX_LINKER_SYMBOL(ax_boot_stack_guard);
AX_LINKER_SYMBOL(ax_boot_stack_top);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_guard);
AX_LINKER_SYMBOL(ax_boot_emergency_stack_top);

/// Where the firmware lets secondary CPUs begin.
void ax_start_secondary();
}
