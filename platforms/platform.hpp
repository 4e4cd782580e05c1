// The border between a platform and what runs on it (hypervisor or unikernel).
//
// A platform brings the machine up, fills a MachineInfo and calls main_on_boot_cpu(). From then on it serves the functions
// below. It knows nothing of virtual machines.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/spinlock.hpp"
#include "kernel/base/types.hpp"
#include "kernel/drivers/uart.hpp"
#include "kernel/mm/frame_allocator.hpp"
#include "kernel/mm/page_attributes.hpp"
#include "platforms/machine_info.hpp"

namespace ax::platform {

// ---- provided by the program ------------------------------------------------------------------------------------------

/// First code of the program, on the boot CPU's guarded stack: MMU and caches on, W^X, exceptions installed, log console
/// working, per-CPU block in place, interrupts masked, interrupt controller not yet initialised.
[[noreturn]] void main_on_boot_cpu(MachineInfo& machine);

/// First code on a secondary CPU, in the same state, on its own guarded stack. `index` is its place in MachineInfo::cpus.
[[noreturn]] void main_on_secondary_cpu(unsigned index);

/// A physical interrupt arrived while the host itself was running (host thread or idle), interrupts masked. The program
/// acknowledges it at the interrupt controller; on x86 its vector is in the per-CPU block.
void handle_interrupt();

// ---- provided by the platform -----------------------------------------------------------------------------------------

MachineInfo& machine();

/// All RAM by owner, initialised before main_on_boot_cpu().
using LockedFrames = Locked<mm::FrameAllocator, LockRank::Frames>;
LockedFrames& frames();

/// The console's port, for its input and its interrupt (MachineInfo::console); output goes through the log. nullptr: none.
drivers::Uart* console_uart();

/// Starts CPU `index` of MachineInfo::cpus; its stack and per-CPU block are allocated here. Returns when the firmware has
/// accepted the request, or, on x86, when the CPU has begun. Boot CPU. Errors: OutOfMemory, InvalidArgument, NotSupported,
/// AlreadyExists (it runs), TimedOut, what the firmware said.
Result<void> start_cpu(unsigned index);

/// Maps device registers read-write, not executable, device memory, at VA = PA. Idempotent. Boot CPU or with no lock held.
Result<void> map_device(HpaRange range);

/// Maps memory that MachineInfo lists as reserved, read-write, not executable, at VA = PA: the map that a platform makes
/// leaves it out. For owners of FrameAllocator::allocate_reserved(). Idempotent. Boot CPU or with no lock held.
Result<void> map_memory(HpaRange range);

/// Virtual memory of a program: page-aligned ranges outside the identity map and the stacks. Boot CPU or with no lock held.
/// Errors: those of mm::PageTable::map(), unmap() and protect(). The caller owns the frames.
Result<void> map_pages(Range<Hva> where, Hpa frames, mm::PageAttributes attributes);
Result<void> unmap_pages(Range<Hva> where);
Result<void> protect_pages(Range<Hva> where, mm::PageAttributes attributes);
/// Where `address` leads in the live tables, if anywhere.
std::optional<Hpa> physical_address(Hva address);

/// Maps a guarded stack of `size` bytes (rounded up to pages) out of free frames owned by the host: the page below it is
/// not mapped. Returns the top. A stack's virtual addresses are not its physical ones. Errors: OutOfMemory, InvalidArgument
/// (no size, or more than the board's thread stacks).
Result<Hva> allocate_stack(u64 size);
/// Unmaps and frees what allocate_stack() returned for the same size.
void free_stack(Hva top, u64 size);

/// Stack of a secondary CPU, in bytes.
inline constexpr u64 kCpuStackSize = 16_KiB;

/// What makes the other CPUs call stop_if_panicking() soon: an inter-processor interrupt. Called by panic(), interrupts
/// masked, in any context; it must not wait for anything.
using StopHook = void (*)();
void set_stop_hook(StopHook hook);

/// What a program has to do with reports of fatal exceptions and panics. Boot CPU, before others run.
/// `end` is called after the report, before the machine is powered off; `is_guard` says whether nothing is mapped at an address
/// in order to catch a stack that overflows.
void set_crash_end(void (*end)());
void set_guard_test(bool (*is_guard)(u64 address));

/// Halts the calling CPU when another one has panicked. To be called by whoever handles the interrupt that the hook sends.
void stop_if_panicking();

/// These return never: a firmware that refuses leaves the CPU halted.
[[noreturn]] void power_off();
[[noreturn]] void reset();

/// Prints a report (message, registers where known, back-trace with addresses relative to the image), stops the other CPUs,
/// then ends the machine so that an automatic run sees a failure. Any context; a panic inside a panic only halts.
[[noreturn]] void panic(const char* message);

}  // namespace ax::platform
