// The benchmark guest for PCs: what leaving the guest costs, in instructions, if one tick of the TSC is one instruction
// (QEMU's -icount shift=0). One JSON object a line; `instructions` and `exits` are totals of `n` operations, and the
// instructions of the loop around each one, of which the operation itself is not one, are in `loop`.
#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u32 kOperations = 20'000;
constexpr u32 kWarmUp = 100;
constexpr u8 kTimerVector = 0x40;

constexpr u64 kApicId = kLocalApic + 0x20, kApicEndOfInterrupt = kLocalApic + 0xb0, kApicSpurious = kLocalApic + 0xf0,
              kApicLvtTimer = kLocalApic + 0x320;

Gate table[256];

/// Exits of this vCPU up to now, with the one that asks: CPUID leaf 0x40000001.
u64 exits() {
  const Cpuid r = cpuid(0x4000'0001);
  return u64{r.ebx} << 32 | r.eax;
}

void print_field(const char* name, u64 value) {
  print(", \"");
  print(name);
  print("\": ");
  print_number(value);
}

void report(const char* name, u64 exits, u64 instructions, u64 loop) {
  print("{\"name\": \"");
  print(name);
  print("\"");
  print_field("n", kOperations);
  print_field("exits", exits);
  print_field("instructions", instructions);
  print_field("loop", loop);
  print("}\n");
}

// ---- instructions that leave the guest -------------------------------------------------------------------------------

void cpuids(u32 n) {
  asm volatile("1: movl $1, %%eax\n cpuid\n decl %0\n jnz 1b" : "+r"(n) : : "eax", "ebx", "ecx", "edx");
}
void hypercalls(u32 n) { asm volatile("1: vmmcall\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void msr_reads(u32 n) {
  asm volatile("1: rdmsr\n decl %0\n jnz 1b" : "+r"(n) : "c"(0x1a0) : "eax", "edx");  // IA32_MISC_ENABLE
}
void interrupt_mask_reads(u32 n) { asm volatile("1: inb $0x21, %%al\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void interval_timer_reads(u32 n) { asm volatile("1: inb $0x61, %%al\n decl %0\n jnz 1b" : "+r"(n) : : "eax"); }
void local_apic_reads(u32 n) {
  asm volatile("1: movl (%1), %%eax\n decl %0\n jnz 1b" : "+r"(n) : "r"(kApicId) : "eax");
}
void ends_of_interrupt(u32 n) {
  asm volatile("1: movl %2, (%1)\n decl %0\n jnz 1b" : "+r"(n) : "r"(kApicEndOfInterrupt), "r"(0) : "memory");
}

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
};

// ---- waking up -------------------------------------------------------------------------------------------------------

extern "C" u64 woken_at;
u64 woken_at;  ///< when the last timer interrupt's handler began

extern "C" void timer_handler();
asm(R"(
timer_handler:
    pushq   %rax
    pushq   %rdx
    rdtsc
    movl    %eax, woken_at
    movl    %edx, woken_at + 4
    movl    $0xfee000b0, %eax
    movl    $0, (%rax)
    popq    %rdx
    popq    %rax
    iretq
)");

/// From the moment that the timer was set to, to the fourth instruction of its handler. Three exits each: the deadline
/// is set, HLT, end of interrupt.
u64 wait_for_timer(u64 delay) {
  constexpr u32 kTscDeadline = 0x6e0;
  u64 late = 0;
  for (u32 i = 0; i < kOperations; ++i) {
    const u64 deadline = time_stamp() + delay;
    write_msr(kTscDeadline, deadline);
    asm volatile("sti\n hlt\n cli" : : : "memory");
    late += woken_at - deadline;
  }
  return late;
}

void measure_waking(const char* name, u64 delay) {
  constexpr u64 kHandlerInstructions = 3;
  const u64 before = exits();
  const u64 late = wait_for_timer(delay);
  report(name, exits() - before - 1, late, kHandlerInstructions);
}

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64*) {
  print("bench: FAILED: unexpected exception ");
  print_number(vector);
  print("\n");
  power_off();
}

extern "C" void guest_main() {
  install_handlers(table);
  table[kTimerVector] = gate_to(reinterpret_cast<u64>(&timer_handler));
  write32(kApicSpurious, 0x1ff);
  for (const Row& row : kRows) {
    row.run(kWarmUp);  // what is remembered from now on is not part of the price
    const u64 before = exits();
    const u64 start = time_stamp();
    row.run(kOperations);
    const u64 instructions = time_stamp() - start;
    report(row.name, exits() - before - 1, instructions, row.loop);
  }
  constexpr u32 kModeTscDeadline = 2 << 17;
  write32(kApicLvtTimer, kModeTscDeadline | kTimerVector);
  measure_waking("hlt_wake_50us", 50'000);
  measure_waking("hlt_wake_1ms", 1'000'000);
  print("bench: done\n");
  power_off();
}
