// Fatal exceptions of the host itself.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"
#include "platforms/common/panic.hpp"
#include "platforms/riscv64-qemu-virt/boot_layout.h"

namespace ax::platform {

/// Registers at an exception, as vectors.S stores them.
struct CrashFrame {
  u64 pc = 0;
  std::array<u64, 31> x{};  ///< x1 to x31
  u64 status = 0;
  u64 cause = 0;
  u64 value = 0;  ///< the address that could not be accessed, or the instruction
  u64 padding = 0;

  u64 return_address() const { return x[0]; }
  u64 frame() const { return x[7]; }
};
static_assert(offsetof(CrashFrame, status) == CRASH_FRAME_SSTATUS && offsetof(CrashFrame, cause) == CRASH_FRAME_SCAUSE);
static_assert(offsetof(CrashFrame, value) == CRASH_FRAME_STVAL && sizeof(CrashFrame) == CRASH_FRAME_SIZE);

}  // namespace ax::platform
