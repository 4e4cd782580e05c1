// A benchmark guest with two vCPUs, each on its own CPU, that wake each other.
#include "tests/guests/x86_64/bench.hpp"
#include "tests/guests/x86_64/second.hpp"

using namespace bench;

namespace {

constexpr u32 kOperations = 10'000;
constexpr u8 kVector = 0x41;
alignas(16) u8 second_stack[4096];

/// ICR's upper half is the other vCPU's id all the time.
void send() { write32(kApicCommand, kVector); }
void await_interrupt() { asm volatile("sti\n hlt\n cli" : : : "memory"); }

void round_trips(u32 n) {
  for (u32 i = 0; i < n; ++i) {
    send();
    await_interrupt();
  }
}

}  // namespace

extern "C" void guest_interrupt(u64, u64*) { fail("unexpected exception"); }

extern "C" void guest_second() {
  load(table);
  enable_local_apic();
  write32(kApicCommandHigh, 0);
  for (;;) {
    send();
    await_interrupt();
  }
}

/// There and back: two interrupts, and either vCPU sleeps in between.
extern "C" void guest_main() {
  constexpr u64 kLoop = kEndingHandler + 6;
  install_handlers(table);
  enable_local_apic();
  take(kVector, ending_handler);
  start_second(second_stack + sizeof(second_stack));
  await_interrupt();
  write32(kApicCommandHigh, 1 << 24);
  measure("ipi_round_trip", kOperations, kLoop, round_trips);
  print("bench: done\n");
  power_off();
}
