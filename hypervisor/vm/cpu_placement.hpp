// Which physical CPUs a VM's vCPUs may use, and how they are scheduled there. Plain logic.
#pragma once

#include <expected>
#include <span>
#include <string_view>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/sched/task.hpp"
#include "kernel/base/result.hpp"

namespace hv {

/// The physical CPUs in use, by index: MPIDR affinity or APIC id.
using CpuIds = std::span<const u64>;

struct CpuPlacement {
  u64 cpus = 0;        ///< bit N: it may run on CPU N
  unsigned first = 0;  ///< where it begins
};

/// Why a VM has no place, for the one line a user reads.
struct PlacementError {
  Error error;
  std::string_view what;  ///< static text
};

/// The place of vCPU `index` of VM `number`, which is one of `vms` by its name. phys_cpu_sets say where it may run, phys_cpu_ids
/// where it runs, or with a set where it begins. Without either: everywhere but on CPUs that are exclusive to another VM.
/// Errors: NotFound (no such CPU is in use), Busy (another VM has the CPU, and one of the two wants it for itself).
std::expected<CpuPlacement, PlacementError> place_vcpu(const VmConfig& vm, u16 number, unsigned index,
                                                       std::span<const VmConfig> vms, CpuIds machine);

/// How a vCPU of `vm` is scheduled on `cpus`; `hz` are ticks per second, `default_slice` is in ticks. Error: InvalidArgument (a
/// value out of range; the generator refuses it, a description that came another way has to be checked here).
std::expected<Scheduling, PlacementError> scheduling_of(const VmConfig& vm, u64 cpus, u64 hz, u64 default_slice);

}  // namespace hv
