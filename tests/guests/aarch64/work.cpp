// The work guest (tests/guests/work.hpp). Its command line is in the device tree.
#include "tests/guests/work.hpp"

namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u64 kUart = 0x0900'0000;
constexpr u64 kGicDistributor = 0x0800'0000;
constexpr u64 kGicRedistributor = 0x080a'0000;
constexpr u32 kVirtualTimerInterrupt = 27;
constexpr u64 kPsciSystemOff = 0x8400'0008;
constexpr u64 kPvTimeStolen = 0xc500'0021;

void write32(u64 address, u32 value) { asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory"); }
u32 read32(u64 address) {
  u32 value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}

void put(char c) {
  while (read32(kUart + 0x18) & (1u << 5)) {
  }
  write32(kUart, static_cast<u8>(c));
}

u64 call(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
  return x0;
}

void power_off() { call(kPsciSystemOff); }

void enable_timer_interrupt() {
  const u64 sgi_frame = kGicRedistributor + 0x1'0000;
  write32(kGicRedistributor + 0x14, 0);                      // GICR_WAKER: awake
  write32(sgi_frame + 0x80, 0xffff'ffff);                    // GICR_IGROUPR0: Group 1
  write32(sgi_frame + 0x100, 1u << kVirtualTimerInterrupt);  // GICR_ISENABLER0
  write32(kGicDistributor, 0x12);                            // GICD_CTLR: ARE, Group 1
  asm volatile("msr s3_0_c12_c12_5, %0\n isb" : : "r"(u64{1}));  // ICC_SRE_EL1
  asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(u64{0xf0}));       // ICC_PMR_EL1
  asm volatile("msr s3_0_c12_c12_7, %0\n isb" : : "r"(u64{1}));  // ICC_IGRPEN1_EL1
}

struct Machine {
  static void print(const char* text) {
    for (; *text != '\0'; ++text) {
      if (*text == '\n') put('\r');
      put(*text);
    }
  }
  static void print_number(u64 n) {
    if (n >= 10) print_number(n / 10);
    put(static_cast<char>('0' + n % 10));
  }
  static u64 now() {
    u64 ticks;
    asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
  }
  static u64 frequency() {
    u64 hz;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
  }
  // Interrupts stay masked: a pending one ends the WFI, and is taken here.
  static void sleep_until(u64 ticks) {
    u64 id;
    asm volatile("msr cntv_cval_el0, %0\n msr cntv_ctl_el0, %1\n isb" : : "r"(ticks), "r"(u64{1}));
    do {
      asm volatile("wfi" : : : "memory");
      asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(id));  // ICC_IAR1_EL1
    } while (id != kVirtualTimerInterrupt);
    asm volatile("msr cntv_ctl_el0, xzr\n isb\n msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
  }
  // Arm DEN 0057 3.2.
  static u64 stolen() {
    static const u64 record = call(kPvTimeStolen);
    return *reinterpret_cast<volatile u64*>(record + 8);
  }
  static void compute() {
    u64 n = 250;
    asm volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(n) : : "cc");
  }
};

}  // namespace

extern "C" void tiny_unexpected() {
  Machine::print("work: FAILED: unexpected exception\n");
  power_off();
}
extern "C" void tiny_synchronous(u64, u64) { tiny_unexpected(); }
extern "C" void tiny_interrupt() { tiny_unexpected(); }

extern "C" void tiny_main(u64 device_tree) {
  enable_timer_interrupt();
  const u32 size = __builtin_bswap32(read32(device_tree + 4));  // totalsize
  work::run<Machine>(reinterpret_cast<const char*>(device_tree), size);
  power_off();
}
