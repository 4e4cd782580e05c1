// A guest of interrupt mode "no_irq": it asks for interrupts, and none comes.
#include "tests/guests/x86_64/pc.hpp"

namespace {

Gate table[256];
volatile u32 interrupts;

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  if (vector < 32) power_off();
  interrupts = interrupts + 1;
  write32(kLocalApic + 0xb0, 0);
}

extern "C" void guest_main() {
  constexpr u8 kVector = 0x40;
  constexpr u32 kToItself = 1 << 18, kDivideBy1 = 0xb;
  install_handlers(table);
  write32(kLocalApic + 0xf0, 0x1ff);
  write32(kLocalApic + 0x3e0, kDivideBy1);
  write32(kLocalApic + 0x320, kVector);
  const u64 frequency = u64{cpuid(0x4000'0010).eax} * 1000;
  write32(kLocalApic + 0x380, static_cast<u32>(frequency / 1000));
  asm volatile("sti");
  write32(kLocalApic + 0x300, kToItself | kVector);
  for (const u64 end = time_stamp() + frequency / 20; time_stamp() < end;) {}
  const bool fired = read32(kLocalApic + 0x390) == 0;
  print(interrupts == 0 && fired ? "quiet: the timer fired, no interrupt came\n" : "quiet: WRONG\n");
  power_off();
}
