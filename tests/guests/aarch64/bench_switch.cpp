// A benchmark guest that shares its CPU with another VM, which never sleeps.
#include "tests/guests/aarch64/bench.hpp"

extern "C" void guest_unexpected() {
  print("bench: FAILED: unexpected exception\n");
  power_off();
}

extern "C" void guest_main() {
  constexpr u64 kOperations = 10'000;
  enable_timer_interrupt();
  bench::measure_wfi("vm_switch_wake", kOperations);
  print("bench: done\n");
  power_off();
}
