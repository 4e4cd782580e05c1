// Interrupts and CPUs as the runtime uses them, and what the core leaves to the service that has threads. The functions are
// unikernel/arch's.
#pragma once

#include "kernel/base/result.hpp"
#include "platforms/machine_info.hpp"

namespace ax::uni {

struct CpuHooks {
  void (*interrupt)() = nullptr;                ///< platform::handle_interrupt()
  void (*secondary)(unsigned index) = nullptr;  ///< platform::main_on_secondary_cpu(); does not return
  /// clone() and the end of a thread on a stack that goes with it, as the C library calls them: see unikernel/musl.
  i64 (*clone)(int (*function)(void*), void* stack, u64 flags, void* argument, i32* parent, void* tls, i32* child) = nullptr;
  void (*unmap_and_exit)(void* base, u64 size) = nullptr;
};
void set_cpu_hooks(const CpuHooks& hooks);

/// The interrupt controller. Boot CPU, once, before init_cpu_interrupts(). Errors: those of the driver.
Result<void> init_interrupts(const MachineInfo& machine);
/// This CPU's part of it: its timer and kicks arrive from now on, when interrupts are not masked.
Result<void> init_cpu_interrupts(unsigned index);
/// Makes CPU `index` take an interrupt. Any context.
void kick_cpu(unsigned index);
/// Acknowledges and ends what has arrived; calls `timer` if the deadline was among it. Interrupts masked.
void take_interrupts(void (*timer)());

/// The register that the C library finds its thread by.
u64 thread_pointer();
void set_thread_pointer(u64 value);

/// A context that begins in `entry(argument)` on the stack that ends at `top`, interrupts masked. For ax_switch_context().
void* make_context(u64 top, void (*entry)(void*), void* argument);

}  // namespace ax::uni

extern "C" {
/// Saves what a function must preserve on the stack, stores the stack pointer in `*save` and continues the context `load`.
/// Returns when somebody continues what was saved. Interrupts masked.
void ax_switch_context(void** save, void* load);
/// Calls `function`, preserving all floating-point and vector registers: what interrupts a program must do before it lets
/// another thread run.
void ax_with_vectors_saved(void (*function)());
}
