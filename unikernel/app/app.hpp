// A ready-made program: what the parts of the service `app` know of each other. A program is a static ELF file, in the image or on the
// disk, which runs in user mode and makes Linux's system calls. There is one.
#pragma once

#include "kernel/base/result.hpp"
#include "unikernel/app/user.hpp"
#include "unikernel/core/service.hpp"

namespace ax::uni {

/// Reads the program's headers and claims its addresses, before the service `memory` begins. A program that cannot run ends here.
void start_app();

// ---- threads

/// sigaltstack(); no size: there is none.
struct AlternateStack {
  u64 base = 0, size = 0;
};

/// The end of a thread's kernel stack: its registers while it is in the kernel, and what else it has of its own.
struct UserThread {
  UserFrame frame{};
  AlternateStack stack{};
};
static_assert(sizeof(UserThread) % 16 == 0);
inline UserThread& thread_of(UserFrame& frame) { return reinterpret_cast<UserThread&>(frame); }

/// A system call that needs its caller's registers.
struct FrameCall {
  u16 number;
  i64 (*call)(UserFrame& frame);
};

// ---- memory: app_memory.cpp

/// Kernel stacks of the program's threads: bytes, with the page below that is not mapped.
inline constexpr u64 kKernelStackSize = 64_KiB;
/// The top of a new one. Error: OutOfMemory.
Result<Hva> make_kernel_stack();
/// The range that make_kernel_stack() has mapped.
Range<Hva> kernel_stack_range(Hva top);

/// Gives user mode pages that are mapped for the kernel; kernel/mm/user_pages.hpp.
Result<void> open_pages(Range<Hva> where, u8 protection);

/// A part of the program that lies outside of mmap()'s window, opened with its protection. Error: OutOfMemory, that of open_pages().
Result<void> add_fixed_part(Range<Hva> where, u8 protection);

/// Takes calls over that would reach what is not the program's, and gives it a heap. After the service `memory`.
void take_memory_calls_over();

/// A fault in user mode: whether the access is allowed and can be tried again.
bool resolve_fault(const UserTrap& trap);

// ---- system calls: app_calls.cpp

/// The calls that need the caller's registers.
void make_call(UserFrame& frame);
/// Those that C libraries make at their start, where no service answers them.
void install_app_calls();
/// The file's name, as /proc/self/exe shows it.
void set_program_path(std::string_view path);

/// What the addresses of the program's file are moved by.
u64 program_bias();
/// Whether `address` is what catches a stack of the program that overflows.
bool is_stack_guard(u64 address);

// ---- signals: app_signals.cpp

/// Lets handlers run that signals wait for: `frame` is then a handler's. `call`: the system call that has just ended, 0 where none
/// has. Interrupts enabled.
void deliver_signals(UserFrame& frame, bool after_call, u64 call, u64 first_argument);
/// A mistake of the program: whether its handler is next.
bool handle_mistake(UserFrame& frame, const UserTrap& trap);
/// The report of one without a handler, and the end.
[[noreturn]] void report_mistake(const UserFrame& frame, const UserTrap& trap);
std::span<const FrameCall> signal_calls();
/// After the service `signals`, where there is one.
void start_signals();

}  // namespace ax::uni
