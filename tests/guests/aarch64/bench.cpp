// The benchmark guest for QEMU's Arm machine: what leaving the guest costs one vCPU that is alone on its CPU.
#include "tests/guests/aarch64/bench.hpp"

namespace {

using namespace bench;

constexpr u32 kPsciVersion = 0x8400'0000;
constexpr u32 kNoFunction = 0x8100'0000;  ///< a call that nobody serves
constexpr u64 kNothing = 0x0a80'0000;     ///< no device of the guest's

constexpr u64 kOperations = 20'000;

// ---- instructions that leave the guest --------------------------------------------------------------------------------

void unknown_calls(u64 n) {
  asm volatile("1: mov w0, %w1\n hvc #0\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kNoFunction) : "x0", "x1", "x2", "x3", "cc");
}
void version_calls(u64 n) {
  asm volatile("1: mov w0, %w1\n hvc #0\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kPsciVersion) : "x0", "x1", "x2", "x3", "cc");
}
void distributor_reads(u64 n) {
  asm volatile("1: ldr w0, [%1]\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kGicDistributor + 4) : "x0", "cc");  // GICD_TYPER
}
void redistributor_reads(u64 n) {
  asm volatile("1: ldr w0, [%1]\n subs %0, %0, #1\n b.ne 1b" : "+r"(n) : "r"(kGicRedistributor + 0x14) : "x0", "cc");  // GICR_WAKER
}

extern "C" void reads_of_nothing(u64 n, u64 address);
void aborts(u64 n) { reads_of_nothing(n, kNothing); }

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

/// A shared interrupt that the guest makes pending in its distributor: injected, taken and ended.
void measure_spi() {
  constexpr u32 kSpi = 40;
  constexpr u64 kBank = kSpi / 32 * 4;
  constexpr u32 kBit = 1u << kSpi % 32;
  constexpr u64 kLoop = 6;
  write32(kGicDistributor + 0x80 + kBank, 0xffff'ffff);  // GICD_IGROUPR
  write32(kGicDistributor + 0x100 + kBank, kBit);        // GICD_ISENABLER
  u64 before = 0;
  u64 start = 0;
  u64 wrong = 0;
  for (u64 i = 0; i < kWarmUp + kOperations; ++i) {
    if (i == kWarmUp) {
      before = call(kExits);
      start = ticks();
    }
    write32(kGicDistributor + 0x200 + kBank, kBit);  // GICD_ISPENDR
    wrong += acknowledge() == kSpi ? 0 : 1;
  }
  const u64 passed = ticks() - start;
  const u64 exits = call(kExits) - before - 1;
  if (wrong != 0) print("bench: FAILED: a shared interrupt did not arrive\n");
  report("spi_to_eoi", kOperations, exits, passed * kInstructionsPerTick, kLoop);
}

}  // namespace

extern "C" void guest_unexpected() {
  print("bench: FAILED: unexpected exception\n");
  call(kPsciSystemOff);
}

extern "C" void guest_main() {
  // No table of them: position-independent code without relocations has no addresses in its data.
  measure({"null_hypercall", unknown_calls, 4});
  measure({"psci_version", version_calls, 4});
  measure({"gicd_typer", distributor_reads, 3});
  measure({"gicr_waker", redistributor_reads, 3});
  measure({"stage2_abort", aborts, 10});
  measure_timer();
  measure_own_sgi();
  measure_spi();
  measure_wfi("wfi_wake_50us", kOperations);
  print("bench: done\n");
  call(kPsciSystemOff);
}
