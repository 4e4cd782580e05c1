// A small real-time system: a periodic tick switches between two tasks that never give up the CPU. A flat binary, which
// looks at no device tree and stands wherever it is put.
#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u32 kTicksPerSecond = 200;
constexpr u32 kTicks = 400;
constexpr u32 kTasks = 2;
constexpr u64 kStackSize = 8192;
constexpr u64 kTaskState = 0x5;  ///< SPSR_EL1: EL1 with its own stack, interrupts on

/// What rtos.S saves of a task.
struct Frame {
  u64 x[31];
  u64 elr, spsr, unused;
};
static_assert(sizeof(Frame) == 272);

struct Task {
  alignas(16) u8 stack[kStackSize];
  u64 sp;
  volatile u64 work;   ///< rounds of its loop
  volatile u32 turns;  ///< ticks after which it ran
};
Task tasks[kTasks];
u32 current;
volatile u32 ticks;
u64 period, next_tick;

void set_timer() { asm volatile("msr cntv_cval_el0, %0\n msr cntv_ctl_el0, %1\n isb" : : "r"(next_tick), "r"(u64{1})); }

/// x0 is the task's number.
[[noreturn]] void run_task(u64 number) {
  for (;;) tasks[number].work = tasks[number].work + 1;
}

void finish() {
  const bool fair = tasks[0].turns == kTicks / kTasks && tasks[1].turns == kTicks / kTasks;
  print(fair && tasks[0].work > 0 && tasks[1].work > 0 ? "rtos: passed: " : "rtos: FAILED: ");
  print_number(kTicks);
  print(" ticks, two tasks\n");
  power_off();
}

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
    tasks[current].sp = sp;
    current = (current + 1) % kTasks;
    tasks[current].turns = tasks[current].turns + 1;
    sp = tasks[current].sp;
    next_tick += period;
    set_timer();
    ticks = ticks + 1;
    if (ticks % (kTicks / 4) == 0) print("rtos: tick\n");
  }
  asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(id));  // ICC_EOIR1_EL1
  if (ticks == kTicks) finish();
  return sp;
}

void rtos_main() {
  u64 frequency;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  period = frequency / kTicksPerSecond;
  for (u32 i = 0; i < kTasks; ++i) {
    Frame* frame = reinterpret_cast<Frame*>(tasks[i].stack + kStackSize) - 1;
    frame->x[0] = i;
    frame->elr = reinterpret_cast<u64>(&run_task);
    frame->spsr = kTaskState;
    tasks[i].sp = reinterpret_cast<u64>(frame);
  }
  print("rtos: hello\n");
  enable_timer_interrupt();
  asm volatile("mrs %0, cntvct_el0" : "=r"(next_tick));
  next_tick += period;
  set_timer();
  rtos_resume(tasks[0].sp);
}

}  // extern "C"
