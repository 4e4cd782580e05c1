// The heartbeat guest on a PC.
#include "tests/guests/heartbeat.hpp"

#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u8 kTimerVector = 0x40;
Gate table[256];
volatile u64 ticks;

u64 frequency() { return cpuid(0x15).ecx; }  // the crystal's, which is the counter's

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
  void feed_watchdog() {}
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
  Machine machine;
  heartbeat::Guest(machine).run();
}
