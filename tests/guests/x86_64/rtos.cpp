// A small real-time system for PCs: a flat binary, linked for an address that is a multiple of nothing in particular.
#include "tests/guests/rtos.hpp"

#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u8 kTimerVector = 0x40;
constexpr u64 kTaskFlags = 0x202;  ///< RFLAGS: interrupts on
constexpr u16 kCode = 8, kData = 16;

struct Machine {
  /// What rtos.S saves of a task, below what the CPU saves.
  struct Frame {
    u64 rdi;
    u64 others[14];
    u64 rip, cs, rflags, rsp, ss;
  };

  static void print(const char* text) { ::print(text); }
  static void print_number(u64 n) { ::print_number(n); }
  static void power_off() { ::power_off(); }
};

rtos::System<Machine> system;
Gate table[256];

[[noreturn]] void run_task(u64 number) { system.run(number); }

// An AMD CPU does not say; the hypervisor does, in kHz.
u64 timer_frequency() { return u64{cpuid(0x4000'0010).eax} * 1000; }

}  // namespace

extern "C" {

void rtos_interrupt();
[[noreturn]] void rtos_resume(u64 sp);

void guest_interrupt(u64 vector, u64*) {
  print("rtos: FAILED: unexpected exception ");
  print_number(vector);
  print("\n");
  power_off();
}

u64 rtos_tick(u64 sp) {
  sp = system.tick(sp);
  write32(kLocalApic + 0xb0, 0);
  if (system.is_done()) system.finish();
  return sp;
}

void guest_main() {
  constexpr u32 kPeriodic = 1 << 17, kDivideBy1 = 0xb;
  install_handlers(table);
  table[kTimerVector] = gate_to(reinterpret_cast<u64>(&rtos_interrupt));
  out8(0x21, 0xff);  // the 8259s are not used
  out8(0xa1, 0xff);
  for (u32 i = 0; i < rtos::kTasks; ++i) {
    Machine::Frame& frame = system.frame(i);
    frame = {.rdi = i,
             .others = {},
             .rip = reinterpret_cast<u64>(&run_task),
             .cs = kCode,
             .rflags = kTaskFlags,
             .rsp = 0,
             .ss = kData};
    // As behind a call: 8 bytes off a multiple of 16.
    frame.rsp = reinterpret_cast<u64>(&frame) - 8;
  }
  print("rtos: hello\n");
  write32(kLocalApic + 0xf0, 0x1ff);
  write32(kLocalApic + 0x3e0, kDivideBy1);
  write32(kLocalApic + 0x320, kPeriodic | kTimerVector);
  write32(kLocalApic + 0x380, static_cast<u32>(timer_frequency() / rtos::kTicksPerSecond));
  rtos_resume(system.tasks[0].sp);
}

}  // extern "C"
