// The heartbeat guest on QEMU virt's addresses. GICv3 only.
#include "tests/guests/heartbeat.hpp"
#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u32 kConsoleInterrupt = 33;
constexpr u64 kWatchdogRefresh = 0x0901'0000;  ///< a VM without one gets an abort there

volatile u64 ticks;
volatile bool warned;  ///< by the first stage of the watchdog

u64 frequency() {
  u64 value;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(value));
  return value;
}

struct Machine {
  void print(const char* text) {
    for (; *text != '\0'; ++text) put(*text);
  }
  void print_number(u64 n) { ::print_number(n); }
  u64 milliseconds() {
    u64 counter;
    asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(counter));
    return counter / (frequency() / 1000);
  }
  char key() { return (read32(kUart + 0x18) & 1u << 4) != 0 ? '\0' : static_cast<char>(read32(kUart)); }
  void wait_for_tick() {
    const u64 before = ticks;
    asm volatile("msr cntv_tval_el0, %0\n msr cntv_ctl_el0, %1\n isb"
                 :
                 : "r"(frequency() / 1000 * heartbeat::kTickMs), "r"(u64{1}));
    while (ticks == before) asm volatile("wfi\n msr daifclr, #2\n isb\n msr daifset, #2" : : : "memory");
  }
  void feed_watchdog() {
    write32(kWatchdogRefresh, 0);
    warned = false;
  }
  void crash() { asm volatile("msr vbar_el1, xzr\n isb\n mov x0, #0x50000000\n br x0" : : : "x0"); }
  void spin() { asm volatile("msr daifset, #15\n1: b 1b"); }
  void reset() { ::reset(); }
  void power_off() { ::power_off(); }
};

}  // namespace

extern "C" void tiny_unexpected() { call(kPsciSystemOff); }
extern "C" void tiny_synchronous(u64, u64) {}  // the instruction is skipped
extern "C" void tiny_interrupt() {
  u64 id;
  asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(id));  // ICC_IAR1_EL1
  if (id == kVirtualTimerInterrupt) {
    ticks = ticks + 1;
    asm volatile("msr cntv_ctl_el0, xzr\n isb");
  }
  // A level that only food lowers: it is not heard again before that.
  constexpr u32 kFirstSpi = 32, kSpecial = 1020;
  if (id >= kFirstSpi && id < kSpecial && id != kConsoleInterrupt) {
    if (!warned) ::print("heart: warned\n");
    warned = true;
    write32(kGicDistributor + 0x180 + id / 32 * 4, 1u << id % 32);  // GICD_ICENABLER
  }
  asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
}

extern "C" void tiny_main(u64) {
  enable_timer_interrupt();
  u64 own;
  asm volatile("mrs %0, mpidr_el1" : "=r"(own));
  for (u64 spi = 32; spi < 256; ++spi) write32(kGicDistributor + 0x6000 + 8 * spi, own & 0xff'ffff);  // GICD_IROUTER
  for (u64 bank = 4; bank < 32; bank += 4) {
    write32(kGicDistributor + 0x80 + bank, 0xffff'ffff);   // GICD_IGROUPR
    write32(kGicDistributor + 0x100 + bank, 0xffff'ffff);  // GICD_ISENABLER
  }
  Machine machine;
  heartbeat::Guest(machine).run();
}
