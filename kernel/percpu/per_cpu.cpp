#include "kernel/percpu/per_cpu.hpp"

#include <arch/cpu.hpp>

namespace ax::percpu {
namespace {

constinit PerCpu blocks[board::kMaxCpus];

}  // namespace


PerCpu* of(unsigned index) { return index < board::kMaxCpus ? &blocks[index] : nullptr; }

}  // namespace ax::percpu
