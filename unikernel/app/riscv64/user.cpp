#include "unikernel/app/user.hpp"

#include <arch/cpu.hpp>
#include <atomic>
#include <board_config.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "unikernel/app/signal_information.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/signals.hpp"

namespace ax::uni {
namespace {

/// Instructions that were written are seen by a CPU after its next FENCE.I: each makes one before it enters user mode again.
constinit std::atomic<u32> code_changes{1};
constinit u32 seen_changes[board::kMaxCpus] = {};

struct CauseName {
  u8 signal;
  std::string_view name;
};
/// scause of exceptions (privileged specification, table 4.2); signals are Linux's.
constexpr CauseName kCauses[] = {
    {Signal::kBus, "misaligned instruction address"},
    {Signal::kSegv, "instruction access fault"},
    {Signal::kIll, "illegal instruction"},
    {Signal::kTrap, "breakpoint"},
    {Signal::kBus, "misaligned load"},
    {Signal::kSegv, "load access fault"},
    {Signal::kBus, "misaligned store"},
    {Signal::kSegv, "store access fault"},
};
enum Cause : u64 { kCall = 8, kInstructionPage = 12, kLoadPage = 13, kStorePage = 15 };

}  // namespace

UserTrap user_trap(UserFrame& frame, u64 cause) {
  constexpr u64 kInterrupt = u64{1} << 63;
  if ((cause & kInterrupt) != 0) {
    platform::handle_interrupt();
    return {.kind = UserTrap::Kind::Interrupt};
  }
  if (cause == kCall) {
    frame.pc += UserFrame::kCallSize;
    return {.kind = UserTrap::Kind::Call};
  }
  if (cause == kInstructionPage || cause == kLoadPage || cause == kStorePage) {
    return {.kind = UserTrap::Kind::MemoryFault,
            .write = cause == kStorePage,
            .execute = cause == kInstructionPage,
            .signal = Signal::kSegv,
            .address = arch::STVAL::read(),
            .name = cause == kInstructionPage ? "instruction page fault"
                    : cause == kLoadPage      ? "load page fault"
                                              : "store page fault"};
  }
  if (cause < std::size(kCauses)) return {.signal = kCauses[cause].signal, .name = kCauses[cause].name};
  return {.signal = Signal::kIll, .name = "unexpected exception"};
}

void prepare_user_mode(UserFrame& frame) {
  percpu::PerCpu& cpu = percpu::this_cpu();
  const u32 changes = code_changes.load(std::memory_order_acquire);
  if (seen_changes[cpu.index] != changes) {
    constexpr u64 kCounters = 7;
    asm volatile("csrw scounteren, %0\n\tfence.i" : : "r"(kCounters) : "memory");
    seen_changes[cpu.index] = changes;
  }
  cpu.user_entry = &frame + 1;
}

UserFrame& current_user_frame() { return static_cast<UserFrame*>(percpu::this_cpu().user_entry)[-1]; }

UserFrame new_user_frame(u64 pc, u64 sp) {
  constexpr u64 kFromSupervisor = 1 << 8, kInterruptsAfter = 1 << 5;
  UserFrame frame{};
  frame.pc = pc;
  frame.sp = sp;
  frame.status = (arch::SSTATUS::read() & ~(kFromSupervisor | arch::SSTATUS::SIE)) | kInterruptsAfter;
  return frame;
}

void synchronise_code(Range<Hva>) { code_changes.fetch_add(1, std::memory_order_release); }

/// I, M, A, F, D, C: what the psABI's base has.
CpuFeatures cpu_features() {
  constexpr u64 kFeatures = 1 << ('I' - 'A') | 1 << ('M' - 'A') | 1 << 0 | 1 << ('F' - 'A') | 1 << ('D' - 'A') | 1 << ('C' - 'A');
  return {.first = kFeatures, .second = 0};
}

std::optional<i64> machine_call(u64 number, u64, u64) {
  constexpr u64 kFlushCode = 259;  // riscv_flush_icache
  if (number != kFlushCode) return std::nullopt;
  synchronise_code({});
  return 0;
}

void print_user_registers(const UserFrame& frame) {
  constexpr std::string_view kNames[] = {"ra", "sp", "gp", "tp", "t0", "t1",  "t2",  "s0", "s1", "a0",
                                         "a1", "a2", "a3", "a4", "a5", "a6",  "a7",  "s2", "s3", "s4",
                                         "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5"};
  const u64* values = &frame.ra;
  for (usize i = 0; i < std::size(kNames); i += 2)
    log::print_line("  {:3} {:016x}  {:3} {:016x}", kNames[i], values[i], kNames[i + 1], values[i + 1]);
  log::print_line("  t6  {:016x}  pc  {:016x}", frame.t3_to_t6[3], frame.pc);
}

// ---- signals

namespace {

/// struct rt_sigframe.
struct alignas(16) Frame {
  SignalInformation information;
  ContextHead head;
  u64 mask, unused[15];
  u64 padding;
  u64 registers[32];  ///< pc, x1 to x31
  u64 floating[33];
  u64 reserved[33];
};
static_assert(offsetof(Frame, registers) == 128 + 176 && sizeof(Frame) == 128 + 960);

}  // namespace

void push_signal_frame(UserFrame& frame, const SignalFrame& wanted) {
  Frame* out = reinterpret_cast<Frame*>(align_down(wanted.stack - sizeof(Frame), 16));
  *out = {};
  out->information = information_of(wanted);
  out->head = ContextHead::of(wanted);
  out->mask = wanted.mask;
  const u64* from = &frame.pc;
  for (u64& value : out->registers) value = *from++;
  ax_save_vectors(out->floating);
  frame.a[0] = wanted.signal;
  frame.a[1] = reinterpret_cast<u64>(&out->information);
  frame.a[2] = reinterpret_cast<u64>(&out->head);
  frame.ra = wanted.return_to;
  frame.sp = reinterpret_cast<u64>(out);
  frame.pc = wanted.handler;
}

u64 pop_signal_frame(UserFrame& frame) {
  const Frame& from = *reinterpret_cast<const Frame*>(frame.sp);
  u64* to = &frame.pc;
  for (const u64 value : from.registers) *to++ = value;
  ax_load_vectors(from.floating);
  return from.mask;
}

std::span<const u32> signal_return_code() {
  static constexpr u32 kCode[] = {0x08b0'0893, 0x0000'0073};  // li a7, 139; ecall
  return kCode;
}

}  // namespace ax::uni
