// Steps of the boot CPU's way to the program that every platform takes.
#pragma once

#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"

namespace ax::platform {

/// Without a value there is no way on; before the console is up the report stays in the log ring, for a debugger.
template <class T>
void require(const Result<T>& result, const char* message) {
  if (!result) panic(message);
}

/// The host timer's time since the machine was started, for the log; 0 while its frequency is not known.
u64 microseconds();

/// Every range of RAM gets its owner: this image, the device tree, the modules and what lies in `kept` belong to the host.
void give_out_memory(const MachineInfo& machine, LockedFrames& frames, HpaRange kept = {});

/// The block of secondary CPU `index`, with its stacks. What was allocated is kept for the next attempt. Errors: InvalidArgument
/// (no such CPU, or the boot CPU), OutOfMemory.
Result<percpu::PerCpu*> prepare_cpu(unsigned index, u64 emergency_stack_size);

}  // namespace ax::platform
