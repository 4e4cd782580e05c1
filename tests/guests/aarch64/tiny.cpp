// The tiny guest: proves, without any library, that a guest sees the machine it was promised, then powers off.
// It prints one line per fact; the last one is "tiny: N checks passed" or "tiny: FAILED".
#include "tests/guests/aarch64/board.hpp"

namespace {

// QEMU virt's addresses, which guests on that machine are given too.
constexpr u64 kGicCpuInterface = 0x0801'0000;
constexpr u64 kNothing = 0x5000'0000;  ///< no RAM and no device of this guest: host RAM on the test machine

constexpr u64 kPsciVersion = 0x8400'0000;

volatile u64 abort_syndrome;
volatile u64 abort_address;
volatile u32 timer_interrupts;
volatile bool is_due_again;  ///< before its interrupt has ended
int checks;
bool failed;
bool gic_v3;

void check(bool ok, const char* what) {
  print(ok ? "tiny: ok: " : "tiny: WRONG: ");
  print(what);
  print("\n");
  ++checks;
  failed |= !ok;
}

void enable_timer() {
  if (gic_v3) return enable_timer_interrupt();
  write32(kGicDistributor + 0x100, 1u << kVirtualTimerInterrupt);  // GICD_ISENABLER0
  write32(kGicDistributor, 1);
  write32(kGicCpuInterface + 4, 0xf0);
  write32(kGicCpuInterface, 1);
}

void check_timer() {
  enable_timer();
  u64 frequency;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  check(frequency != 0, "the counter has a frequency");
  const auto set_timer = [&] {
    asm volatile("msr cntv_tval_el0, %0\n msr cntv_ctl_el0, %1\n isb" : : "r"(frequency / 10000), "r"(u64{1}));
  };
  // Masked but for an instant, so that none is taken between the question and the WFI.
  const auto wait_for_interrupt = [](u32 number) {
    while (timer_interrupts < number) asm volatile("wfi\n msr daifclr, #2\n isb\n msr daifset, #2" : : : "memory");
  };
  for (u32 round = 1; round <= 3; ++round) {
    set_timer();
    wait_for_interrupt(round);
  }
  check(timer_interrupts == 3, "three timer interrupts arrived, each once");

  is_due_again = true;
  set_timer();
  wait_for_interrupt(5);
  check(timer_interrupts == 5, "a timer that is due again before its interrupt has ended interrupts again");
}

void check_abort() {
  (void)read32(kNothing);
  const u64 exception_class = abort_syndrome >> 26;
  check(exception_class == 0x25 && (abort_syndrome & 0x3f) == 0x10, "foreign memory gives a synchronous external abort");
  check(abort_address == kNothing, "the fault address is reported");
}

// QEMU's virt machine has either the instruction or a seed from its firmware; a machine with neither says so.
void check_random_numbers() {
  constexpr u64 kTrngVersion = 0x8400'0050, kTrngRandom64 = 0xc400'0053, kBits = 128;
  if (call(kTrngVersion) == ~u64{0}) return;
  u64 words[2][3];
  for (auto& w : words) {
    register u64 x0 asm("x0") = kTrngRandom64;
    register u64 x1 asm("x1") = kBits;
    register u64 x2 asm("x2");
    register u64 x3 asm("x3");
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "=r"(x2), "=r"(x3) : : "memory");
    w[0] = x1, w[1] = x2, w[2] = x3;
    check(x0 == 0 && x1 == 0 && x2 != 0 && x3 != 0, "it gets random numbers");
  }
  check(call(kTrngVersion) == 0x1'0000 && words[0][2] != words[1][2], "which differ");
}

bool is_device_tree(u64 address) { return (address & 7) == 0 && read32(address) == 0xedfe0dd0; }

}  // namespace

extern "C" void tiny_unexpected() {
  print("tiny: FAILED: unexpected exception\n");
  call(kPsciSystemOff);
}
extern "C" void tiny_synchronous(u64 syndrome, u64 address) {
  abort_syndrome = syndrome;
  abort_address = address;
}
extern "C" void tiny_interrupt() {
  u64 id;
  if (gic_v3) {
    asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(id));  // ICC_IAR1_EL1
  } else {
    id = read32(kGicCpuInterface + 0xc);
  }
  if (id == kVirtualTimerInterrupt) {
    timer_interrupts = timer_interrupts + 1;
    if (is_due_again) {
      asm volatile("msr cntv_tval_el0, xzr\n isb");
    } else {
      asm volatile("msr cntv_ctl_el0, xzr\n isb");
    }
    is_due_again = false;
  }
  if (gic_v3) {
    asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
  } else {
    write32(kGicCpuInterface + 0x10, static_cast<u32>(id));
  }
}

extern "C" void tiny_main(u64 device_tree) {
  u64 current_el, features;
  asm volatile("mrs %0, currentel" : "=r"(current_el));
  asm volatile("mrs %0, id_aa64pfr0_el1" : "=r"(features));
  gic_v3 = ((features >> 24) & 0xf) != 0;

  print("tiny: hello from a guest\n");
  check(current_el == 1 << 2, "runs at EL1");
  check(((features >> 8) & 0xf) == 0, "sees no EL2");
  check(is_device_tree(device_tree), "x0 is a device tree");
  check(call(kPsciVersion) >= 0x1'0000, "PSCI is version 1.0 or later");
  check(call(0x8600'ff01) == ~u64{0}, "an unknown call is not supported");
  check_random_numbers();
  check_abort();
  check_timer();
  if (failed) {
    print("tiny: FAILED\n");
  } else {
    print("tiny: ");
    print_number(static_cast<u64>(checks));
    print(" checks passed\n");
  }
  call(kPsciSystemOff);
}
