// Fatal exceptions of the host itself, and what interrupts it.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"
#include "platforms/common/panic.hpp"

namespace ax::platform {

/// Registers at an exception, as vectors.S stores them.
struct CrashFrame {
  std::array<u64, 16> general{};  ///< r15 first, rax last; the value of rsp is not the interrupted one
  u64 vector = 0;
  u64 error_code = 0;
  u64 rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;

  /// Register `n` of the instruction encoding: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8..r15.
  u64 x(unsigned n) const { return n == 4 ? rsp : general[15 - n]; }
};
static_assert(sizeof(CrashFrame) == 23 * sizeof(u64));

}  // namespace ax::platform
