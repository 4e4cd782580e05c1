// Fatal exceptions of the host itself, and the report that a panic prints.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"
#include "platforms/aarch64-dyn/boot_layout.h"

namespace ax::platform {

/// Registers at an exception, as vectors.S stores them.
struct CrashFrame {
  std::array<u64, 31> x{};
  u64 sp = 0;
  u64 elr = 0;
  u64 spsr = 0;
  u64 esr = 0;
  u64 far = 0;
};
static_assert(offsetof(CrashFrame, elr) == CRASH_FRAME_ELR && offsetof(CrashFrame, esr) == CRASH_FRAME_ESR);
static_assert(sizeof(CrashFrame) == CRASH_FRAME_SIZE);

/// In the order of the vector table's slots.
enum class ExceptionKind : u8 { Synchronous, Irq, Fiq, SError };

/// Prints the call chain that starts at `pc` with frame pointer `frame`, innermost first: `pc`, then the calls. Each address
/// is printed as the ELF file knows it. Memory is touched only where the live tables allow it.
void print_back_trace(u64 pc, u64 frame);

/// What panic() does before and after it prints: the first panic of the machine returns and owns the console; any other
/// call halts its CPU.
void begin_panic();
[[noreturn]] void end_panic(const char* message);

}  // namespace ax::platform
