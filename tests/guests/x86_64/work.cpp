// The work guest (tests/guests/work.hpp), started by Multiboot 1.
#include "tests/guests/work.hpp"

#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u8 kTimerVector = 0x40;
constexpr u32 kOneShot = 0, kDivideBy1 = 0xb;

Gate table[256];
volatile bool woken;
alignas(64) u64 steal_time[8];
u64 hz;

// An AMD CPU does not say; the hypervisor does, in kHz.
u64 tsc_frequency() { return u64{cpuid(0x4000'0010).eax} * 1000; }

struct Machine {
  static void print(const char* text) { ::print(text); }
  static void print_number(u64 n) { ::print_number(n); }
  static u64 now() { return time_stamp(); }
  static u64 frequency() { return hz; }
  // The APIC's timer counts the TSC's ticks, 2^32 of them at most.
  static void sleep_until(u64 ticks) {
    while (now() < ticks) {
      const u64 left = ticks - now();
      woken = false;
      write32(kLocalApic + 0x380, left < 0xffff'ffff ? static_cast<u32>(left) : 0xffff'ffff);
      while (!woken) asm volatile("sti\n hlt\n cli" : : : "memory");
    }
  }
  // KVM's steal-time record.
  static u64 stolen() { return *const_cast<volatile u64*>(steal_time); }
  static void compute() {
    u64 n = 2500;
    asm volatile("1: decq %0\n jnz 1b" : "+r"(n) : : "cc");
  }
};

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  if (vector != kTimerVector) {
    print("work: FAILED: unexpected exception ");
    print_number(vector);
    print("\n");
    power_off();
  }
  woken = true;
  write32(kLocalApic + 0xb0, 0);
}

extern "C" void guest_main(u32, u64 information) {
  install_handlers(table);
  hz = tsc_frequency();
  constexpr u32 kStealTime = 0x4b56'4d03, kEnabled = 1;
  write_msr(kStealTime, reinterpret_cast<u64>(steal_time) | kEnabled);
  write32(kLocalApic + 0xf0, 0x1ff);
  write32(kLocalApic + 0x3e0, kDivideBy1);
  write32(kLocalApic + 0x320, kOneShot | kTimerVector);
  constexpr u64 kMaxCommandLine = 1024;
  const char* command_line = reinterpret_cast<const char*>(u64{read32(information + 16)});
  u64 size = 0;
  while (size < kMaxCommandLine && command_line[size] != '\0') ++size;
  work::run<Machine>(command_line, size + 1);
  power_off();
}
