#include "kernel/percpu/per_cpu.hpp"

#include <arch/cpu.hpp>

// Named for assembly code.
extern "C" {
constinit ax::percpu::PerCpu ax_cpu_blocks[ax::board::kMaxCpus];
}

namespace ax::percpu {

PerCpu* of(unsigned index) { return index < board::kMaxCpus ? &ax_cpu_blocks[index] : nullptr; }

}  // namespace ax::percpu
