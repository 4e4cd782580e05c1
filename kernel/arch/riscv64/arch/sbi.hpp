// Calls to the firmware (RISC-V Supervisor Binary Interface 1.0, chapter 3).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

struct SbiAnswer {
  i64 error;
  u64 value;
};

inline SbiAnswer sbi_call(u32 extension, u32 function, u64 first, u64 second, u64 third, u64 fourth) {
  register u64 a0 asm("a0") = first;
  register u64 a1 asm("a1") = second;
  register u64 a2 asm("a2") = third;
  register u64 a3 asm("a3") = fourth;
  register u64 a6 asm("a6") = function;
  register u64 a7 asm("a7") = extension;
  asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
  return {static_cast<i64>(a0), a1};
}

}  // namespace ax::arch
