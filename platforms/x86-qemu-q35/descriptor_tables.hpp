// Segments, task state and interrupt vectors of each CPU (SDM vol. 3 chapters 3, 6 and 7).
#pragma once

#include "kernel/percpu/per_cpu.hpp"

namespace ax::platform {

/// Gives the calling CPU its own GDT and TSS, the shared IDT, and `block` as its per-CPU block. The block's stacks are
/// set. `nmi_stack_top` is where NMIs are handled. Each CPU, before any other C++ code.
void load_descriptor_tables(percpu::PerCpu& block, u64 nmi_stack_top);

/// CR4, PAT and what else the host relies on; CR0 and EFER have their values since boot.S. Each CPU, once.
void reset_cpu_state();

}  // namespace ax::platform
