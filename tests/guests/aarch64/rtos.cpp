// A small real-time system: a flat binary, which looks at no device tree and stands wherever it is put.
#include "tests/guests/rtos.hpp"
#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u64 kTaskState = 0x5;  ///< SPSR_EL1: EL1 with its own stack, interrupts on

struct Machine {
  /// What rtos.S saves of a task.
  struct Frame {
    u64 x[31];
    u64 elr, spsr, unused;
  };

  static void print(const char* text) { ::print(text); }
  static void print_number(u64 n) { ::print_number(n); }
  static void power_off() { ::power_off(); }
};
static_assert(sizeof(Machine::Frame) == 272);

rtos::System<Machine> system;
u64 period, next_tick;

void set_timer() { asm volatile("msr cntv_cval_el0, %0\n msr cntv_ctl_el0, %1\n isb" : : "r"(next_tick), "r"(u64{1})); }

/// x0 is the task's number.
[[noreturn]] void run_task(u64 number) { system.run(number); }

}  // namespace

extern "C" {

[[noreturn]] void rtos_resume(u64 sp);

void rtos_unexpected() {
  print("rtos: FAILED: unexpected exception\n");
  power_off();
}

u64 rtos_tick(u64 sp) {
  u64 id;
  asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(id));  // ICC_IAR1_EL1
  if (id == kVirtualTimerInterrupt) {
    sp = system.tick(sp);
    next_tick += period;
    set_timer();
  }
  asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
  if (system.is_done()) system.finish();
  return sp;
}

void rtos_main() {
  u64 frequency;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  period = frequency / rtos::kTicksPerSecond;
  for (u32 i = 0; i < rtos::kTasks; ++i) {
    Machine::Frame& frame = system.frame(i);
    frame.x[0] = i;
    frame.elr = reinterpret_cast<u64>(&run_task);
    frame.spsr = kTaskState;
  }
  print("rtos: hello\n");
  enable_timer_interrupt();
  asm volatile("mrs %0, cntvct_el0" : "=r"(next_tick));
  next_tick += period;
  set_timer();
  rtos_resume(system.tasks[0].sp);
}

}  // extern "C"
