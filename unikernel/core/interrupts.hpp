// Interrupts and CPUs as the runtime uses them, and what the core leaves to the service that has threads. The functions are
// unikernel/arch's.
#pragma once

#include <span>

#include "kernel/base/result.hpp"
#include "platforms/machine_info.hpp"
#include "unikernel/core/signals.hpp"

namespace ax::uni {

struct CpuHooks {
  void (*interrupt)() = nullptr;                ///< platform::handle_interrupt()
  void (*secondary)(unsigned index) = nullptr;  ///< platform::main_on_secondary_cpu(); does not return
  /// clone() and the end of a thread on a stack that goes with it, as the C library calls them: see unikernel/musl.
  i64 (*clone)(int (*function)(void*), void* stack, u64 flags, void* argument, i32* parent, void* tls, i32* child) = nullptr;
  void (*unmap_and_exit)(void* base, u64 size) = nullptr;
  ThreadSignals* (*signals)(u32 thread) = nullptr;
  void (*interrupt_thread)(u32 thread, u64 signal) = nullptr;
  void (*signal_times_changed)() = nullptr;
};
void set_cpu_hooks(const CpuHooks& hooks);

/// What thread `thread` has of signals, 0: the calling one; nullptr: there is no such thread, or no service for threads.
ThreadSignals* thread_signals(u32 thread);
/// Ends what thread `thread` waits for with -EINTR, if it does not mask the signal (a bit); 0: of one thread that does not. One that
/// runs elsewhere is interrupted.
void interrupt_thread(u32 thread, u64 signal);
/// next_signal_interrupt() is another moment.
void signal_times_changed();

/// The interrupt controller. Boot CPU, once, before init_cpu_interrupts(). Errors: those of the driver.
Result<void> init_interrupts(const MachineInfo& machine);
/// This CPU's part of it: its timer and kicks arrive from now on, when interrupts are not masked.
Result<void> init_cpu_interrupts(unsigned index);
/// Both for the boot CPU, once: whoever needs interrupts first. Boot CPU. The same errors.
Result<void> start_interrupts();
bool has_interrupts();
/// `handler` is called, interrupts masked, whenever the interrupt of the machine's one device that is used has come. `interrupt` is
/// what the machine's device tree says of it; a PC's device sends a message with the vector host_vector::kFirstLine to the boot CPU. After
/// start_interrupts(). Errors: NotSupported (there is no such interrupt).
Result<void> attach_device(std::span<const u32> interrupt, void (*handler)());
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
