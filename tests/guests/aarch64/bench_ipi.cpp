// A benchmark guest with two vCPUs on two CPUs: what it costs to wake the other one.
#include "tests/guests/aarch64/bench.hpp"

// Hidden, so that its address is computed and not read from a table that nobody relocates.
extern "C" [[gnu::visibility("hidden")]] void second_start();

namespace {

using namespace bench;

constexpr u64 kOperations = 10'000;
constexpr u64 kCpuOn = 0xc400'0003;
constexpr u32 kSgi = 1;

alignas(16) u8 second_stack[4096];

void send_to(u64 cpu) { asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(u64{kSgi} << 24 | 1u << cpu) : "memory"); }  // ICC_SGI1R
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
  enable_private_interrupt(kSgi, 1);
  for (;;) {
    send_to(0);
    await_sgi();
  }
}

/// There and back: two interrupts, and either vCPU sleeps in between.
extern "C" void guest_main() {
  enable_private_interrupt(kSgi);
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
