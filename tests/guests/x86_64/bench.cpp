// The benchmark guest for PCs: what leaving the guest costs one vCPU that is alone on its CPU.
#include "tests/guests/x86_64/bench.hpp"

using namespace bench;

namespace {

constexpr u32 kOperations = 20'000;
constexpr u8 kLineVector = 0x41, kSelfVector = 0x42;
constexpr u64 kNothing = 0xd000'0000;  ///< no RAM and no device

// ---- instructions that leave the guest -------------------------------------------------------------------------------

void cpuids(u32 n) { asm volatile("1: movl $1, %%eax\n cpuid\n decl %0\n jnz 1b" : "+r"(n) : : "eax", "ebx", "ecx", "edx"); }
void hypercalls(u32 n) { asm volatile("1: vmmcall\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void msr_reads(u32 n) {
  asm volatile("1: rdmsr\n decl %0\n jnz 1b" : "+r"(n) : "c"(0x1a0) : "eax", "edx");  // IA32_MISC_ENABLE
}
void interrupt_mask_reads(u32 n) { asm volatile("1: inb $0x21, %%al\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void interval_timer_reads(u32 n) { asm volatile("1: inb $0x61, %%al\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void local_apic_reads(u32 n) { asm volatile("1: movl (%1), %%eax\n decl %0\n jnz 1b" : "+r"(n) : "r"(kApicId) : "eax"); }
void ends_of_interrupt(u32 n) {
  asm volatile("1: movl %2, (%1)\n decl %0\n jnz 1b" : "+r"(n) : "r"(kApicEndOfInterrupt), "r"(0) : "memory");
}
void reads_of_nothing(u32 n) { asm volatile("1: movl (%1), %%eax\n decl %0\n jnz 1b" : "+r"(n) : "r"(kNothing) : "eax"); }

struct Row {
  const char* name;
  void (*run)(u32 n);
  u64 loop;
};
constexpr Row kRows[] = {
    {"cpuid", cpuids, 3},
    {"vmmcall", hypercalls, 2},
    {"rdmsr", msr_reads, 2},
    {"in_21", interrupt_mask_reads, 2},
    {"in_61", interval_timer_reads, 2},
    {"lapic_read", local_apic_reads, 2},
    {"lapic_eoi", ends_of_interrupt, 2},
    {"nested_fault", reads_of_nothing, 2},
};

// ---- interrupts ------------------------------------------------------------------------------------------------------

/// A line of the I/O APIC that rises, because the serial port has room: taken, ended, and lowered again. Three exits.
void lines(u32 n) {
  constexpr u16 kInterruptEnable = kSerial + 1;
  constexpr u8 kTransmitterEmpty = 2;
  for (u32 i = 0; i < n; ++i) {
    out8(kInterruptEnable, kTransmitterEmpty);
    out8(kInterruptEnable, 0);
  }
}

void measure_line() {
  constexpr u64 kIoApic = 0xfec0'0000;
  constexpr u32 kSerialLine = 4;
  constexpr u16 kModemControl = kSerial + 4;
  constexpr u8 kInterruptsOut = 8;
  constexpr u64 kLoop = kEndingHandler + 6;
  out8(kModemControl, kInterruptsOut);
  write32(kIoApic, 0x10 + 2 * kSerialLine);
  write32(kIoApic + 0x10, kLineVector);
  interrupts_taken = 0;
  measure("line_to_eoi", kOperations, kLoop, lines);
  if (interrupts_taken != kWarmUp + kOperations) fail("a line's interrupt did not arrive");
}

/// An interrupt that this CPU sends to itself: sent, taken and ended.
void own_interrupts(u32 n) {
  constexpr u32 kSelf = 1 << 18;
  for (u32 i = 0; i < n; ++i) write32(kApicCommand, kSelf | kSelfVector);
}

void measure_own_interrupt() {
  constexpr u64 kLoop = kEndingHandler + 2;
  interrupts_taken = 0;
  measure("ipi_self", kOperations, kLoop, own_interrupts);
  if (interrupts_taken != kWarmUp + kOperations) fail("an interrupt of its own did not arrive");
}

u64 work(u64 rounds) {
  const u64 start = time_stamp();
  asm volatile("1: decq %0\n jnz 1b" : "+r"(rounds) : : "cc");
  return time_stamp() - start;
}

/// A loop that is interrupted, less the same loop in peace and the guest's own handler.
void measure_timer() {
  constexpr u32 kPeriodic = 1 << 17, kDivideBy1 = 0xb;
  constexpr u32 kPeriod = 100'000;
  constexpr u64 kRounds = u64{kPeriod} * 2000 / 2;
  write32(kApicDivide, kDivideBy1);
  write32(kApicLvtTimer, kPeriodic | kTimerVector);
  const u64 undisturbed = work(kRounds);
  interrupts_taken = 0;
  write32(kApicInitialCount, kPeriod);
  const u64 before = exits();
  const u64 disturbed = work(kRounds);
  const u64 n = interrupts_taken;
  const u64 left = exits() - before - 1;
  write32(kApicInitialCount, 0);
  report("timer_interrupt", n, left, disturbed - undisturbed - n * kEndingHandler, 0);
}

}  // namespace

extern "C" void guest_interrupt(u64, u64*) { fail("unexpected exception"); }

extern "C" void guest_main() {
  install_handlers(table);
  enable_local_apic();
  for (const Row& row : kRows) measure(row.name, kOperations, row.loop, row.run);
  take(kLineVector, ending_handler);
  take(kSelfVector, ending_handler);
  take(kTimerVector, ending_handler);
  asm volatile("sti");
  measure_line();
  measure_own_interrupt();
  measure_timer();
  asm volatile("cli");
  take(kTimerVector, timer_handler);
  measure_waking("hlt_wake_50us", kOperations, 50'000);
  measure_waking("hlt_wake_1ms", kOperations, 1'000'000);
  print("bench: done\n");
  power_off();
}
