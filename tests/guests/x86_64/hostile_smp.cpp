// A guest whose first CPU sends every interrupt command there is to the second one, to CPUs that are not there and to all others:
// of every delivery mode, level and trigger. Then the second CPU must start as on the first day. The key 'o' ends it.
#include "tests/guests/x86_64/pc.hpp"
#include "tests/guests/x86_64/second.hpp"

namespace {

constexpr u32 kCommands = 8'000;
constexpr u64 kCommand = kLocalApic + 0x300, kCommandHigh = kLocalApic + 0x310;
enum Delivery : u32 { kFixed = 0, kInit = 5, kStartUp = 6 };
constexpr u32 kSeconds = 10;  // enough for a start on any machine

Gate table[256];
alignas(16) u8 second_stack[4096];
volatile u64 alive;   ///< counted by the second CPU
volatile u64 starts;  ///< of the second CPU
bool waits;           ///< the second CPU has had an INIT, and no StartUp since
u64 random_state = 0x9e37'79b9'7f4a'7c15;

u64 random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

u64 frequency() { return u64{cpuid(0x4000'0010).eax} * 1000; }

bool second_has_started(u64 before) {
  const u64 deadline = time_stamp() + kSeconds * frequency();
  while (starts == before)
    if (time_stamp() > deadline) return false;
  return true;
}

/// Never to itself, but for fixed interrupts: it would not come back. And after a StartUp only once the second CPU has its
/// interrupt table: an NMI before that is a triple fault, on any machine. False if it does not start.
bool send_anything() {
  constexpr u8 kDestinations[] = {1, 1, 1, 2, 7, 0x80, 0xfe};
  constexpr u32 kSelf = 1u << 18, kAll = 2u << 18, kAllOthers = 3u << 18;
  constexpr u32 kAssert = 0x4000, kLevel = 0x8000, kFlags = 0x2000 | kAssert | kLevel;  // the first one is reserved
  const u32 delivery = random() & 7;
  u32 vector = 32 + random() % 224;
  u32 whom = random() % 4 == 0 ? kAllOthers : 0;
  if (delivery == kStartUp) vector = kSecondCode >> 12;
  if (delivery == kFixed && random() % 4 == 0) whom = random() % 2 == 0 ? kSelf : kAll;
  const u32 destination = kDestinations[random() % sizeof kDestinations];
  const u32 flags = static_cast<u32>(random()) & kFlags;
  const u64 before = starts;
  write32(kCommandHigh, destination << 24);
  write32(kCommand, whom | flags | delivery << 8 | vector);
  if (whom == 0 && destination != 1) return true;
  if (delivery == kInit && (flags & (kAssert | kLevel)) != kLevel) waits = true;  // a level's end is no INIT (SDM vol. 3 11.6.1)
  if (delivery != kStartUp || !waits) return true;
  waits = false;
  return second_has_started(before);
}

bool starts_again() {
  for (u32 i = 0; i < 3; ++i) {
    const u64 before = starts;
    waits = false;
    start_second(second_stack + sizeof second_stack);
    if (!second_has_started(before)) return false;
    const u64 counted = alive;
    const u64 deadline = time_stamp() + kSeconds * frequency();
    while (alive == counted)
      if (time_stamp() > deadline) return false;
  }
  return true;
}

void run() {
  for (u32 i = 0; i < kCommands; ++i)
    if (!send_anything()) return print("hostile: WRONG: a command to start left the second CPU where it was\n");
  if (!starts_again()) print("hostile: WRONG: the second CPU does not come back\n");
  print("hostile: ");
  print_number(kCommands);
  print(" commands sent, still here\n");
}

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  constexpr u64 kNmi = 2, kFirstInterrupt = 32;
  if (vector >= kFirstInterrupt) return write32(kLocalApic + 0xb0, 0);
  if (vector == kNmi) return;
  print("hostile: WRONG: exception ");
  print_number(vector);
  print("\n");
  power_off();
}

extern "C" void guest_second() {
  load(table);
  write32(kLocalApic + 0xf0, 0x1ff);
  starts = starts + 1;
  asm volatile("sti");
  for (;;) alive = alive + 1;
}

extern "C" void guest_main() {
  install_handlers(table);
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  write32(kLocalApic + 0xf0, 0x1ff);
  print("hostile: hello\n");
  if (!starts_again()) print("hostile: WRONG: the second CPU does not start\n");
  asm volatile("sti");
  do run();
  while ((in8(kSerial + 5) & 1) == 0 || in8(kSerial) != 'o');
  power_off();
}
