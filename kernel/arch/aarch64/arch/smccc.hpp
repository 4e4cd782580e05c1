// Calls to firmware and from it (Arm SMC Calling Convention, DEN 0028).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

// SMCCC 1.1 preserves x4..x17, SMCCC 1.0 does not.
#define AX_SMCCC_CALL(instruction)                                                                                \
  register u64 x0 asm("x0") = function;                                                                           \
  register u64 x1 asm("x1") = a1;                                                                                 \
  register u64 x2 asm("x2") = a2;                                                                                 \
  register u64 x3 asm("x3") = a3;                                                                                 \
  asm volatile(instruction                                                                                        \
               : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                                           \
               :                                                                                                  \
               : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory"); \
  return x0

/// Calls EL3 (or QEMU in its place); returns x0.
inline u64 smc(u64 function, u64 a1, u64 a2, u64 a3) { AX_SMCCC_CALL("smc #0"); }
/// Calls whoever handles HVC at this level; returns x0.
inline u64 hvc(u64 function, u64 a1, u64 a2, u64 a3) { AX_SMCCC_CALL("hvc #0"); }

#undef AX_SMCCC_CALL

}  // namespace ax::arch
