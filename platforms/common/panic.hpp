// The report of a panic: what is the same on every platform, and what each brings.
#pragma once

#include "kernel/base/types.hpp"

// What reports call the image.
#ifndef AX_IMAGE_NAME
#define AX_IMAGE_NAME "axvisor"
#define AX_FATAL_EXCEPTION "fatal exception in the hypervisor"
#define AX_NAMES_NULL_POINTERS 0
#endif
#ifndef AX_NAMES_NULL_POINTERS
#define AX_NAMES_NULL_POINTERS 1
#endif

namespace ax::platform {

/// A program's crash is most often a null pointer's; the hypervisor's report needs no words for it.
inline constexpr bool kNamesNullPointers = AX_NAMES_NULL_POINTERS != 0;

/// What panic() does before and after it prints: the first panic of the machine returns and owns the console; any other
/// call halts its CPU.
void begin_panic();
[[noreturn]] void end_panic(const char* message);

/// Prints the call chain that starts at `pc` with frame pointer `frame`, innermost first: `pc`, then the calls. Each
/// address is printed as the ELF file knows it. Memory is touched only where the live tables allow it. A function that calls
/// nothing has no frame record, so `frame` is then its caller's: the call itself may be before `link`, which is printed beside.
void print_back_trace(u64 pc, u64 frame, u64 link = 0);

/// Whether the program keeps the page at `address` unmapped below one of its stacks: see set_guard_test().
bool is_program_guard(u64 address);

// ---- provided by each platform, in its exceptions.cpp ----

/// Whether the host may read the eight bytes at `address`.
bool is_readable(u64 address);
/// One line with the control registers of this CPU.
void print_control_registers();
/// Bytes from a return address back into the call before it.
extern const u64 kCallSize;

}  // namespace ax::platform
