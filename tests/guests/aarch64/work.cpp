// The work guest (tests/guests/work.hpp). Its command line is in the device tree.
#include "tests/guests/aarch64/board.hpp"
#include "tests/guests/work.hpp"

namespace {

constexpr u64 kPvTimeStolen = 0xc500'0021;

struct Machine {
  static void print(const char* text) { ::print(text); }
  static void print_number(u64 n) { ::print_number(n); }
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
    u64 n = 2500;
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
