// A benchmark guest with two vCPUs on two CPUs: what it costs to wake the other one.
#include "tests/guests/aarch64/bench.hpp"

// Hidden, so that its address is computed and not read from a table that nobody relocates.
extern "C" [[gnu::visibility("hidden")]] void second_start();

namespace {

using namespace bench;

constexpr u64 kOperations = 10'000;
constexpr u64 kCpuOn = 0xc400'0003;
constexpr u64 kSgi = 1;
constexpr u64 kRedistributorStride = 0x2'0000;

alignas(16) u8 second_stack[4096];

void enable_sgi(u64 cpu) {
  const u64 redistributor = kGicRedistributor + cpu * kRedistributorStride;
  write32(redistributor + 0x14, 0);                              // GICR_WAKER: awake
  write32(redistributor + 0x1'0080, 0xffff'ffff);                // GICR_IGROUPR0
  write32(redistributor + 0x1'0100, 1u << kSgi);                 // GICR_ISENABLER0
  write32(kGicDistributor, 0x12);                                // GICD_CTLR: ARE, Group 1
  asm volatile("msr s3_0_c12_c12_5, %0\n isb" : : "r"(u64{1}));  // ICC_SRE_EL1
  asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(u64{0xf0}));       // ICC_PMR_EL1
  asm volatile("msr s3_0_c12_c12_7, %0\n isb" : : "r"(u64{1}));  // ICC_IGRPEN1_EL1
}

void send_to(u64 cpu) { asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(kSgi << 24 | 1u << cpu) : "memory"); }  // ICC_SGI1R
void await_sgi() {
  do asm volatile("wfi" : : : "memory");
  while (acknowledge() != kSgi);
}

}  // namespace

extern "C" void guest_unexpected() {
  print("bench: FAILED: unexpected exception\n");
  power_off();
}

extern "C" void guest_second() {
  enable_sgi(1);
  for (;;) {
    send_to(0);
    await_sgi();
  }
}

/// There and back: two interrupts, and either vCPU sleeps in between.
extern "C" void guest_main() {
  enable_sgi(0);
  register u64 x0 asm("x0") = kCpuOn;
  register u64 x1 asm("x1") = 1;
  register u64 x2 asm("x2") = reinterpret_cast<u64>(&second_start);
  register u64 x3 asm("x3") = reinterpret_cast<u64>(second_stack + sizeof(second_stack));
  asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  if (x0 != 0) {
    print("bench: FAILED: there is no second vCPU: ");
    print_number(0 - x0);
    print("\n");
  }
  await_sgi();
  u64 before = 0;
  u64 start = 0;
  for (u64 i = 0; i < kWarmUp + kOperations; ++i) {
    if (i == kWarmUp) {
      before = call(kExits);
      start = ticks();
    }
    send_to(1);
    await_sgi();
  }
  const u64 passed = ticks() - start;
  report("ipi_round_trip", kOperations, call(kExits) - before - 1, passed * kInstructionsPerTick, 14);
  print("bench: done\n");
  power_off();
}
