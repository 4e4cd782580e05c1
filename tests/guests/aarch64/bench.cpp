// The benchmark guest for QEMU's Arm machine: what leaving the guest costs, in instructions, under -icount shift=0, where one tick
// of the 62.5 MHz counter is 16 instructions. One JSON object a line; `instructions` and `exits` are totals of `n` operations, and
// the instructions of the loop around each one, the operation itself included, are in `loop`.
#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u32 kPsciVersion = 0x8400'0000;
constexpr u32 kExits = 0xc600'0000;  ///< AxVisor's own call: exits of this vCPU, with this one

constexpr u64 kOperations = 20'000;
constexpr u64 kWarmUp = 100;
constexpr u64 kInstructionsPerTick = 16;

u64 ticks() {
  u64 value;
  asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(value) : : "memory");
  return value;
}
void print_field(const char* name, u64 value) {
  print(", \"");
  print(name);
  print("\": ");
  print_number(value);
}

void report(const char* name, u64 n, u64 exits, u64 instructions, u64 loop) {
  print("{\"name\": \"");
  print(name);
  print("\"");
  print_field("n", n);
  print_field("exits", exits);
  print_field("instructions", instructions);
  print_field("loop", loop);
  print("}\n");
}

// ---- instructions that leave the guest --------------------------------------------------------------------------------

void version_calls(u64 n) {
  asm volatile("1: mov w0, %w1\n hvc #0\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kPsciVersion) : "x0", "x1", "x2", "x3", "cc");
}
void distributor_reads(u64 n) {
  asm volatile("1: ldr w0, [%1]\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kGicDistributor + 4) : "x0", "cc");  // GICD_TYPER
}
void redistributor_reads(u64 n) {
  asm volatile("1: ldr w0, [%1]\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kGicRedistributor + 0x14) : "x0", "cc");  // GICR_WAKER
}

struct Row {
  const char* name;
  void (*run)(u64 n);
  u64 loop;
};

void measure(const Row& row) {
  row.run(kWarmUp);
  const u64 before = call(kExits);
  const u64 start = ticks();
  row.run(kOperations);
  const u64 passed = ticks() - start;
  report(row.name, kOperations, call(kExits) - before - 1, passed * kInstructionsPerTick, row.loop);
}

// ---- interrupts -------------------------------------------------------------------------------------------------------

struct Work {
  u64 ticks;
  u64 interrupts_left;
};
extern "C" u64 work(u64 rounds);
extern "C" Work interrupted_work(u64 rounds, u64 interrupts, u64 period);

/// A loop that is interrupted, less the same loop in peace and the guest's own handler.
void measure_timer() {
  constexpr u64 kHandlerInstructions = 6;
  constexpr u64 kPeriod = 312;  // ticks: 5 us
  constexpr u64 kRounds = kOperations * kPeriod * kInstructionsPerTick / 2;
  enable_timer_interrupt();
  const u64 undisturbed = work(kRounds);
  const u64 before = call(kExits);
  const Work disturbed = interrupted_work(kRounds, ~u64{0}, kPeriod);
  const u64 exits = call(kExits) - before - 1;
  const u64 n = ~u64{0} - disturbed.interrupts_left;
  report("timer_interrupt", n, exits, (disturbed.ticks - undisturbed) * kInstructionsPerTick - n * kHandlerInstructions, 0);
}

/// Takes a pending interrupt and ends it, with interrupts masked. Returns its number.
u64 acknowledge() {
  u64 number;
  asm volatile("mrs %0, s3_0_c12_c12_0\n msr s3_0_c12_c12_1, %0\n isb" : "=r"(number) : : "memory");  // ICC_IAR1, ICC_EOIR1
  return number;
}

/// An interrupt that this CPU sends to itself: sent, taken and ended. Its own instructions are in the loop.
void measure_own_sgi() {
  constexpr u64 kSgi = 1;
  constexpr u64 kLoop = 7;
  write32(kGicRedistributor + 0x1'0100, 1u << kSgi);  // GICR_ISENABLER0
  u64 before = 0;
  u64 start = 0;
  u64 wrong = 0;
  for (u64 i = 0; i < kWarmUp + kOperations; ++i) {
    if (i == kWarmUp) {
      before = call(kExits);
      start = ticks();
    }
    asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"((kSgi << 24) | 1) : "memory");  // ICC_SGI1R
    wrong += acknowledge() == kSgi ? 0 : 1;
  }
  const u64 passed = ticks() - start;
  const u64 exits = call(kExits) - before - 1;
  if (wrong != 0) print("bench: FAILED: an interrupt of its own did not arrive\n");
  report("sgi_self", kOperations, exits, passed * kInstructionsPerTick, kLoop);
}

/// From the moment that a timer fires to the instruction behind the WFI that waits for it.
void measure_wfi() {
  constexpr u64 kSleep = 3'125;  // ticks: 50 us
  u64 before = 0;
  u64 late = 0;
  for (u64 i = 0; i < kWarmUp + kOperations; ++i) {
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
  report("wfi_wake_50us", kOperations, call(kExits) - before - 1, late * kInstructionsPerTick, 0);
}

}  // namespace

extern "C" void guest_unexpected() {
  print("bench: FAILED: unexpected exception\n");
  call(kPsciSystemOff);
}

extern "C" void guest_main() {
  // No table of them: position-independent code without relocations has no addresses in its data.
  measure({"psci_version", version_calls, 4});
  measure({"gicd_typer", distributor_reads, 3});
  measure({"gicr_waker", redistributor_reads, 3});
  measure_timer();
  measure_own_sgi();
  measure_wfi();
  print("bench: done\n");
  call(kPsciSystemOff);
}
