// A guest whose first CPU starts the second one again and again, and meanwhile fills its redistributor with noise and sends it every
// interrupt there is; the second CPU takes some and turns itself off. The key 'o' ends it.
#include "tests/guests/aarch64/board.hpp"

extern "C" [[gnu::visibility("hidden")]] u8 second_start[];
asm(R"(
    .text
    .global second_start
second_start:
    mov     sp, x0
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    isb
    bl      hostile_second
)");

namespace {

constexpr u32 kStarts = 500;
constexpr u64 kCpuOff = 0x8400'0002, kCpuOn = 0xc400'0003, kAffinityInfo = 0xc400'0004;
constexpr u64 kAlreadyOn = ~u64{3}, kOnPending = ~u64{4}, kOff = 1;
constexpr u64 kSecondRedistributor = kGicRedistributor + 0x2'0000;

alignas(16) u8 second_stack[4096];
volatile u32 starts;
volatile u32 taken;  ///< interrupts by the second CPU
u64 random_state = 0x9e37'79b9'7f4a'7c15;

u64 random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

u64 call_with(u64 function, u64 a, u64 b, u64 c) {
  register u64 x0 asm("x0") = function;
  register u64 x1 asm("x1") = a;
  register u64 x2 asm("x2") = b;
  register u64 x3 asm("x3") = c;
  asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  return x0;
}

u32 acknowledge() {
  u64 id;
  asm volatile("mrs %0, s3_0_c12_c12_0\n dsb sy" : "=r"(id) : : "memory");  // ICC_IAR1_EL1
  return static_cast<u32>(id);
}

u64 start() {
  return call_with(kCpuOn, 1, reinterpret_cast<u64>(second_start), reinterpret_cast<u64>(second_stack + sizeof second_stack));
}

void disturb() {
  const u64 offset = random() % 3 == 0 ? random() & 0xffc : 0x1'0000 | (random() & 0xffc);
  constexpr u64 kWaker = 0x14;
  if (offset != kWaker) write32(kSecondRedistributor + offset, static_cast<u32>(random()));
  (void)read32(kSecondRedistributor + offset);
  const u64 sgi = (random() & 0xf) << 24 | 2;
  asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(sgi));  // ICC_SGI1R_EL1
}

bool is_told_to_end() { return (read32(kUart + 0x18) & 1u << 4) == 0 && read32(kUart) == 'o'; }

void run() {
  const u32 before = starts;
  u32 times = 0;
  while (times < kStarts) {
    const u64 answer = start();
    if (answer == 0) ++times;
    if (answer != 0 && answer != kAlreadyOn && answer != kOnPending) {
      print("hostile: WRONG: the second CPU does not start: ");
      print_number(0 - answer);
      print("\n");
      break;
    }
    disturb();
  }
  while (call_with(kAffinityInfo, 1, 0, 0) != kOff) disturb();
  if (starts - before != times || taken == 0) print("hostile: WRONG: the second CPU did not run\n");
  print("hostile: ");
  print_number(starts);
  print(" starts, still here\n");
}

}  // namespace

extern "C" void tiny_unexpected() {
  print("hostile: WRONG: unexpected exception\n");
  power_off();
}
extern "C" void tiny_interrupt() { tiny_unexpected(); }
extern "C" void tiny_synchronous(u64, u64) { tiny_unexpected(); }

extern "C" [[noreturn, gnu::used]] void hostile_second() {
  constexpr u32 kSpuriousLimit = 1020;
  starts = starts + 1;
  for (u32 sgi = 0; sgi < 16; ++sgi) enable_private_interrupt(sgi, 1);
  for (u32 i = 0; i < 50; ++i) {
    const u32 id = acknowledge();
    if (id >= kSpuriousLimit) continue;
    taken = taken + 1;
    if (i % 3 != 0) asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(u64{id}));  // some are never ended
  }
  call(kCpuOff);
  for (;;) {}
}

extern "C" void tiny_main(u64) {
  print("hostile: hello\n");
  do run();
  while (!is_told_to_end());
  power_off();
}
