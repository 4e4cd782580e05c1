// A benchmark guest that shares its CPU with another VM, which never sleeps.
#include "tests/guests/x86_64/bench.hpp"

using namespace bench;

extern "C" void guest_interrupt(u64, u64*) { fail("unexpected exception"); }

extern "C" void guest_main() {
  constexpr u32 kOperations = 10'000;
  install_handlers(table);
  enable_local_apic();
  take(kTimerVector, timer_handler);
  measure_waking("vm_switch_wake", kOperations, 50'000);
  print("bench: done\n");
  power_off();
}
