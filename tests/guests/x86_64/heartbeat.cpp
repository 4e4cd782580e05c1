// The heartbeat guest on a PC.
#include "tests/guests/heartbeat.hpp"

#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u8 kTimerVector = 0x40;
constexpr u16 kWatchdogPort = 0x620;
Gate table[256];
volatile u64 ticks;

/// The paravirtual clock's record: nanoseconds = ticks * multiplier >> 32, shifted before. The local APIC's timer has the same clock.
struct alignas(64) ClockRecord {
  u32 version, reserved;
  u64 tsc, nanoseconds;
  u32 multiplier;
  std::int8_t shift;
  u8 flags, padding[2];
};
volatile ClockRecord clock_record;

u64 frequency() {
  constexpr u64 kSecond = 1'000'000'000;
  const u64 unshifted = (kSecond << 32) / clock_record.multiplier;
  const int shift = clock_record.shift;
  return shift >= 0 ? unshifted >> shift : unshifted << -shift;
}

struct Machine {
  void print(const char* text) { ::print(text); }
  void print_number(u64 n) { ::print_number(n); }
  u64 milliseconds() { return time_stamp() / (frequency() / 1000); }
  char key() { return (in8(kSerial + 5) & 1) != 0 ? static_cast<char>(in8(kSerial)) : '\0'; }
  void wait_for_tick() {
    const u64 before = ticks;
    write32(kLocalApic + 0x380, static_cast<u32>(frequency() / 1000 * heartbeat::kTickMs / 16));
    while (ticks == before) asm volatile("sti; hlt; cli" : : : "memory");
  }
  void feed_watchdog() { asm volatile("outl %0, %1" : : "a"(0), "d"(kWatchdogPort)); }
  void crash() { asm volatile("lidt %0\n ud2" : : "m"(nothing)); }
  void spin() { asm volatile("cli\n1: jmp 1b"); }
  void reset() { out8(0xcf9, 6); }
  void power_off() { ::power_off(); }

  struct [[gnu::packed]] {
    u16 limit = 0;
    u64 base = 0;
  } nothing;
};

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  if (vector < 32) power_off();
  if (vector == kTimerVector) ticks = ticks + 1;
  write32(kLocalApic + 0xb0, 0);
}

extern "C" void guest_main(u32, u64) {
  install_handlers(table);
  out8(0x21, 0xff);  // the 8259s are not used
  out8(0xa1, 0xff);
  write32(kLocalApic + 0xf0, 0x1ff);
  write32(kLocalApic + 0x3e0, 3);  // divide by 16
  write32(kLocalApic + 0x320, kTimerVector);
  write_msr(0x4b56'4d01, reinterpret_cast<u64>(&clock_record) | 1);
  Machine machine;
  heartbeat::Guest(machine).run();
}
