// The heartbeat guest on QEMU virt's addresses. GICv3 only.
#include "tests/guests/heartbeat.hpp"

namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u64 kUart = 0x0900'0000;
constexpr u64 kGicDistributor = 0x0800'0000;
constexpr u64 kGicRedistributor = 0x080a'0000;
constexpr u32 kVirtualTimerInterrupt = 27;
constexpr u64 kWatchdogRefresh = 0x0901'0000;  ///< a VM without one gets an abort there
constexpr u64 kPsciSystemOff = 0x8400'0008, kPsciSystemReset = 0x8400'0009;

volatile u64 ticks;

void write32(u64 address, u32 value) { asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory"); }
u32 read32(u64 address) {
  u32 value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
u64 frequency() {
  u64 value;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(value));
  return value;
}
void put(char c) {
  while ((read32(kUart + 0x18) & 1u << 5) != 0) {
  }
  write32(kUart, static_cast<u8>(c));
}
void psci(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

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
  void print(const char* text) {
    for (; *text != '\0'; ++text) put(*text);
  }
  void print_number(u64 n) {
    if (n >= 10) print_number(n / 10);
    put(static_cast<char>('0' + n % 10));
  }
  u64 milliseconds() {
    u64 counter;
    asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(counter));
    return counter / (frequency() / 1000);
  }
  char key() { return (read32(kUart + 0x18) & 1u << 4) != 0 ? '\0' : static_cast<char>(read32(kUart)); }
  void wait_for_tick() {
    const u64 before = ticks;
    asm volatile("msr cntv_tval_el0, %0\n msr cntv_ctl_el0, %1\n isb" : : "r"(frequency() / 1000 * heartbeat::kTickMs), "r"(u64{1}));
    while (ticks == before) asm volatile("wfi\n msr daifclr, #2\n isb\n msr daifset, #2" : : : "memory");
  }
  void feed_watchdog() { write32(kWatchdogRefresh, 0); }
  void crash() { asm volatile("msr vbar_el1, xzr\n isb\n mov x0, #0x50000000\n br x0" : : : "x0"); }
  void spin() { asm volatile("msr daifset, #15\n1: b 1b"); }
  void reset() { psci(kPsciSystemReset); }
  void power_off() { psci(kPsciSystemOff); }
};

}  // namespace

extern "C" void tiny_unexpected() { psci(kPsciSystemOff); }
extern "C" void tiny_synchronous(u64, u64) {}  // the instruction is skipped
extern "C" void tiny_interrupt() {
  u64 id;
  asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(id));  // ICC_IAR1_EL1
  if (id == kVirtualTimerInterrupt) {
    ticks = ticks + 1;
    asm volatile("msr cntv_ctl_el0, xzr\n isb");
  }
  asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
}

extern "C" void tiny_main(u64) {
  enable_timer_interrupt();
  Machine machine;
  heartbeat::Guest(machine).run();
}
