// A guest with devices of the machine: drives them by their interrupts, resets itself, finds them again, and powers
// off. COM2 has an edge-triggered line (ISA), QEMU's "edu" card a level-triggered one (PCI).
#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u64 kIoApic = 0xfec0'0000;
constexpr u32 kSerialLine = 3, kCardLine = 20;
constexpr u8 kSerialVector = 0x43, kCardVector = 0x44;
constexpr u32 kLevel = 1 << 15, kMasked = 1 << 16;

constexpr u16 kCom2 = 0x2f8;
constexpr u64 kCard = 0xfea0'0000;
constexpr u64 kCardId = kCard, kCardLiveness = kCard + 0x04, kCardStatus = kCard + 0x24, kCardRaise = kCard + 0x60,
              kCardAcknowledge = kCard + 0x64;
constexpr u32 kCardIdentity = 0x0100'00ed;
constexpr u32 kMark = 0x5a5a'1234;  ///< the card gives it back inverted, also after this guest's end

Gate table[256];
volatile u32 seen[256];
volatile u32 unserved;  ///< interrupts of the card after which its handler leaves it as it is

void write_io_apic(u32 index, u32 value) {
  write32(kIoApic, index);
  write32(kIoApic + 0x10, value);
}
void route(u32 line, u32 entry) { write_io_apic(0x10 + 2 * line, entry); }

void expect(bool ok, const char* what) {
  print(ok ? "lines: ok: " : "lines: WRONG: ");
  print(what);
  print("\n");
}

void wait_for(u8 vector, u32 count) {
  while (seen[vector] < count) asm volatile("sti; hlt; cli" : : : "memory");
}
/// Long enough for an interrupt that must not come: other exits happen meanwhile.
void linger() {
  for (u32 i = 0; i < 2000; ++i) {
    in8(0x1234);
    asm volatile("sti; nop; cli" : : : "memory");
  }
}

void try_serial_port() {
  constexpr u8 kLoopWithInterrupt = 0x1b, kReceiveInterrupt = 1;
  route(kSerialLine, kSerialVector);
  out8(kCom2 + 4, kLoopWithInterrupt);
  out8(kCom2 + 1, kReceiveInterrupt);
  bool right = true;
  for (u32 round = 1; round <= 3; ++round) {
    out8(kCom2, static_cast<u8>('a' + round));
    wait_for(kSerialVector, round);
    right &= in8(kCom2) == 'a' + round;
  }
  linger();
  expect(right && seen[kSerialVector] == 3, "three characters, three edges");
  out8(kCom2 + 1, 0);
}

void raise_card() { write32(kCardRaise, 1); }

void try_card() {
  expect(read32(kCardId) == kCardIdentity, "the card is there");
  write32(kCardAcknowledge, ~0u);
  route(kCardLine, kCardVector | kLevel);
  raise_card();
  wait_for(kCardVector, 1);
  linger();
  expect(seen[kCardVector] == 1, "a level that is served comes once");
  unserved = 2;
  raise_card();
  wait_for(kCardVector, 4);
  linger();
  expect(seen[kCardVector] == 4, "a level that is not served comes again after each end of interrupt");
  route(kCardLine, kCardVector | kLevel | kMasked);
  raise_card();
  linger();
  expect(seen[kCardVector] == 4, "a masked line waits");
  route(kCardLine, kCardVector | kLevel);
  wait_for(kCardVector, 5);
  expect(true, "until it is unmasked");
}

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  if (vector < 32) {
    print("lines: WRONG: unexpected exception ");
    print_number(vector);
    print("\n");
    power_off();
  }
  seen[vector] = seen[vector] + 1;
  if (vector == kCardVector) {
    if (unserved != 0)
      unserved = unserved - 1;
    else
      write32(kCardAcknowledge, read32(kCardStatus));
  }
  write32(kLocalApic + 0xb0, 0);
}

extern "C" void guest_main() {
  install_handlers(table);
  write32(kLocalApic + 0xf0, 0x1ff);
  out8(0x21, 0xff);  // the 8259s are masked: lines go through the I/O APIC
  out8(0xa1, 0xff);
  try_serial_port();
  try_card();
  if (read32(kCardLiveness) == ~kMark) {
    print("lines: done\n");
    power_off();
  }
  write32(kCardLiveness, kMark);
  print("lines: resetting\n");
  raise_card();  // nobody serves it any more: the machine must come through that
  out8(0xcf9, 0x06);
}
