// Fatal exceptions of the host itself.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"
#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/common/panic.hpp"

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

}  // namespace ax::platform
