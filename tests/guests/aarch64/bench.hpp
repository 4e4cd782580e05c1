// What the benchmark guests of QEMU's Arm machine have in common. Under -icount shift=0 one tick of the 62.5 MHz counter is 16
// instructions. A row is one JSON object a line; `instructions` and `exits` are totals of `n` operations, and the instructions of
// the loop around each one, the operation itself included, are in `loop`.
#pragma once

#include "tests/guests/aarch64/board.hpp"

namespace bench {

inline constexpr u32 kExits = 0xc600'0000;  ///< AxVisor's own call: exits of this vCPU, with this one
inline constexpr u64 kWarmUp = 100;
inline constexpr u64 kInstructionsPerTick = 16;

inline u64 ticks() {
  u64 value;
  asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(value) : : "memory");
  return value;
}

inline void print_field(const char* name, u64 value) {
  print(", \"");
  print(name);
  print("\": ");
  print_number(value);
}

inline void report(const char* name, u64 n, u64 exits, u64 instructions, u64 loop) {
  print("{\"name\": \"");
  print(name);
  print("\"");
  print_field("n", n);
  print_field("exits", exits);
  print_field("instructions", instructions);
  print_field("loop", loop);
  print("}\n");
}

/// Takes a pending interrupt and ends it, with interrupts masked. Returns its number.
inline u64 acknowledge() {
  u64 number;
  asm volatile("mrs %0, s3_0_c12_c12_0\n msr s3_0_c12_c12_1, %0\n isb" : "=r"(number) : : "memory");  // ICC_IAR1, ICC_EOIR1
  return number;
}

/// From the moment that a timer fires to the instruction behind the WFI that waits for it.
inline void measure_wfi(const char* name, u64 n) {
  constexpr u64 kSleep = 3'125;  // ticks: 50 us
  u64 before = 0;
  u64 late = 0;
  for (u64 i = 0; i < kWarmUp + n; ++i) {
    if (i == kWarmUp) {
      before = call(kExits);
      late = 0;
    }
    const u64 deadline = ticks() + kSleep;
    asm volatile("msr cntv_cval_el0, %0\n msr cntv_ctl_el0, %1\n isb\n wfi" : : "r"(deadline), "r"(u64{1}) : "memory");
    late += ticks() - deadline;
    asm volatile("msr cntv_ctl_el0, xzr\n isb" : : : "memory");
    acknowledge();
  }
  report(name, n, call(kExits) - before - 1, late * kInstructionsPerTick, 0);
}

}  // namespace bench
