// What the benchmark guests for PCs have in common. Under -icount shift=0 one tick of the TSC is one instruction. A row is one JSON
// object a line; `instructions` and `exits` are totals of `n` operations, and the instructions of the loop around each one, of
// which the operation itself is not one, are in `loop`.
#pragma once

#include "tests/guests/x86_64/pc.hpp"

namespace bench {

inline constexpr u32 kWarmUp = 100;
inline constexpr u8 kTimerVector = 0x40;
inline constexpr u64 kApicId = kLocalApic + 0x20, kApicEndOfInterrupt = kLocalApic + 0xb0, kApicSpurious = kLocalApic + 0xf0,
                     kApicCommand = kLocalApic + 0x300, kApicCommandHigh = kLocalApic + 0x310, kApicLvtTimer = kLocalApic + 0x320,
                     kApicInitialCount = kLocalApic + 0x380, kApicDivide = kLocalApic + 0x3e0;

inline Gate table[256];

/// Exits of this vCPU up to now, with the one that asks: CPUID leaf 0x40000001.
inline u64 exits() {
  const Cpuid r = cpuid(0x4000'0001);
  return u64{r.ebx} << 32 | r.eax;
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

[[noreturn]] inline void fail(const char* why) {
  print("bench: FAILED: ");
  print(why);
  print("\n");
  power_off();
  for (;;) asm volatile("hlt");
}

/// Interrupts come to `handler` by `vector` from now on, and those of the 8259s never.
inline void take(u8 vector, void (*handler)()) { table[vector] = gate_to(reinterpret_cast<u64>(handler)); }
inline void enable_local_apic() {
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  write32(kApicSpurious, 0x1ff);
}

/// Measures `n` operations after a few that are not counted: what is remembered from those on is not part of the price.
template <class Operations>
void measure(const char* name, u32 n, u64 loop, Operations operations) {
  operations(kWarmUp);
  const u64 before = exits();
  const u64 start = time_stamp();
  operations(n);
  const u64 instructions = time_stamp() - start;
  report(name, n, exits() - before - 1, instructions, loop);
}

// ---- interrupts: handlers in bench.S -----------------------------------------------------------------------------------

extern "C" volatile u64 interrupts_taken;
extern "C" void ending_handler();  ///< counts in `interrupts_taken` and ends the interrupt
inline constexpr u64 kEndingHandler = 6;

// ---- waking up -------------------------------------------------------------------------------------------------------

extern "C" volatile u64 woken_at;  ///< when the last timer interrupt's handler began
extern "C" void timer_handler();   ///< notes that, and ends the interrupt

/// From the moment that the timer was set to, to the fourth instruction of its handler. Three exits each: the deadline
/// is set, HLT, end of interrupt. timer_handler() takes kTimerVector.
inline void measure_waking(const char* name, u32 n, u64 delay) {
  constexpr u32 kTscDeadline = 0x6e0, kModeTscDeadline = 2 << 17;
  constexpr u64 kHandlerInstructions = 3;
  write32(kApicLvtTimer, kModeTscDeadline | kTimerVector);
  u64 before = 0;
  u64 late = 0;
  for (u32 i = 0; i < kWarmUp + n; ++i) {
    if (i == kWarmUp) {
      before = exits();
      late = 0;
    }
    const u64 deadline = time_stamp() + delay;
    write_msr(kTscDeadline, deadline);
    asm volatile("sti\n hlt\n cli" : : : "memory");
    late += woken_at - deadline;
  }
  report(name, n, exits() - before - 1, late, kHandlerInstructions);
}

}  // namespace bench
