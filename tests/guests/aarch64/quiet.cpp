// A guest of interrupt mode "no_irq": it asks for interrupts, and none comes.
#include "tests/guests/aarch64/board.hpp"

namespace {

volatile u32 interrupts;

u64 counter() {
  u64 value;
  asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(value));
  return value;
}

}  // namespace

extern "C" void tiny_unexpected() { power_off(); }
extern "C" void tiny_synchronous(u64, u64) { tiny_unexpected(); }
extern "C" void tiny_interrupt() {
  interrupts = interrupts + 1;
  asm volatile("msr cntv_ctl_el0, xzr\n isb");
}

extern "C" void tiny_main(u64) {
  enable_private_interrupt(1);
  enable_timer_interrupt();
  u64 frequency, condition;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  asm volatile("msr cntv_tval_el0, %0\n msr cntv_ctl_el0, %1\n isb\n msr daifclr, #3" : : "r"(frequency / 1000), "r"(u64{1}));
  asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(u64{1} << 24 | 1));  // ICC_SGI1R_EL1: SGI 1 to itself
  for (const u64 end = counter() + frequency / 20; counter() < end;) {}
  asm volatile("mrs %0, cntv_ctl_el0" : "=r"(condition));
  constexpr u64 kStatus = 1 << 2;
  print(interrupts == 0 && (condition & kStatus) != 0 ? "quiet: the timer fired, no interrupt came\n" : "quiet: WRONG\n");
  power_off();
}
