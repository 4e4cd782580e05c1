#include "unikernel/app/user.hpp"

#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "unikernel/app/signal_information.hpp"
#include "unikernel/core/signals.hpp"

namespace ax::uni {
namespace {

struct ClassName {
  u8 exception_class;
  u8 signal;
  std::string_view name;
};
/// ESR_EL1.EC (Arm ARM D17.2.37): what a program can cause.
constexpr ClassName kClasses[] = {
    {0x00, Signal::kIll, "unknown instruction"},
    {0x18, Signal::kIll, "system register access"},
    {0x22, Signal::kBus, "misaligned PC"},
    {0x26, Signal::kBus, "misaligned SP"},
    {0x2c, Signal::kFpe, "floating-point exception"},
    {0x3c, Signal::kTrap, "BRK instruction"},
};

}  // namespace

UserTrap user_trap(UserFrame&, u64 cause) {
  constexpr u64 kSynchronous = 0, kInterrupt = 1;
  constexpr u64 kCall = 0x15, kInstructionAbort = 0x20, kDataAbort = 0x24, kWrite = 1 << 6;
  if (cause == kInterrupt) {
    platform::handle_interrupt();
    return {.kind = UserTrap::Kind::Interrupt};
  }
  if (cause != kSynchronous) return {.signal = Signal::kBus, .name = "SError"};
  const u64 esr = arch::ESR_EL1::read(), kind = arch::ESR_EL1::exception_class(esr);
  if (kind == kCall) return {.kind = UserTrap::Kind::Call};
  if (kind == kInstructionAbort || kind == kDataAbort) {
    return {.kind = UserTrap::Kind::MemoryFault,
            .write = kind == kDataAbort && (esr & kWrite) != 0,
            .execute = kind == kInstructionAbort,
            .signal = Signal::kSegv,
            .address = arch::FAR_EL1::read(),
            .name = kind == kDataAbort ? "data abort" : "instruction abort"};
  }
  for (const ClassName& entry : kClasses) {
    if (entry.exception_class == kind) return {.signal = entry.signal, .name = entry.name};
  }
  return {.signal = Signal::kIll, .name = "unexpected exception"};
}

void prepare_user_mode(UserFrame& frame) {
  percpu::PerCpu& cpu = percpu::this_cpu();
  if (cpu.user_entry == nullptr) {
    // Once: EL0 may look at the counter and at the caches' sizes, clear and clean lines, and wait for interrupts.
    constexpr u64 kZero = 1 << 14, kCacheType = 1 << 15, kWait = 5 << 16, kCaches = 1 << 26, kCounters = 3;
    arch::SCTLR_EL1::write(arch::SCTLR_EL1::read() | kZero | kCacheType | kWait | kCaches);
    arch::CNTKCTL_EL1::write(arch::CNTKCTL_EL1::read() | kCounters);
    arch::isb();
  }
  cpu.user_entry = &frame + 1;
}

UserFrame& current_user_frame() { return static_cast<UserFrame*>(percpu::this_cpu().user_entry)[-1]; }

UserFrame new_user_frame(u64 pc, u64 sp) { return {.x = {}, .sp = sp, .pc = pc, .pstate = 0}; }

void synchronise_code(Range<Hva> where) {
  constexpr u64 kLine = 16;  // the smallest that there is
  for (u64 at = where.base.value(); at < where.end().value(); at += kLine) asm volatile("dc cvau, %0" : : "r"(at) : "memory");
  arch::dsb_ish();
  asm volatile("ic ialluis" : : : "memory");
  arch::dsb_ish();
  arch::isb();
}

/// Floating point and vectors; nothing that a program would have to be told of by the CPU's identification registers.
CpuFeatures cpu_features() { return {.first = 3, .second = 0}; }

std::optional<i64> machine_call(u64, u64, u64) { return std::nullopt; }

void print_user_registers(const UserFrame& frame) {
  for (unsigned i = 0; i + 1 < 31; i += 2)
    log::print_line("  x{:02} {:016x}  x{:02} {:016x}", i, frame.x[i], i + 1, frame.x[i + 1]);
  log::print_line("  x30 {:016x}  sp  {:016x}", frame.x[30], frame.sp);
  log::print_line("  pc  {:016x}  pstate {:08x}", frame.pc, frame.pstate);
}

// ---- signals

namespace {

/// struct rt_sigframe, and a frame record for unwinders.
struct alignas(16) Frame {
  SignalInformation information;
  ContextHead head;
  u64 mask, unused[15];
  u64 padding;
  u64 fault_address;
  u64 x[31];
  u64 sp, pc, pstate;
  u64 more_padding;
  struct {
    u32 magic, size;
    u8 state[520];
  } vectors;
  u64 end_of_records[2];
  u8 reserved[4096 - 544];
  u64 record[2];
};
static_assert(offsetof(Frame, fault_address) == 128 + 176 && offsetof(Frame, vectors) == 128 + 464);
static_assert(offsetof(Frame, record) == 128 + 464 + 4096);

constexpr u32 kVectorsMagic = 0x4650'8001, kVectorsSize = 528;
constexpr u64 kConditionFlags = u64{0xf} << 28;

}  // namespace

void push_signal_frame(UserFrame& frame, const SignalFrame& wanted) {
  Frame* out = reinterpret_cast<Frame*>(align_down(wanted.stack - sizeof(Frame), 16));
  out->information = information_of(wanted);
  out->head = ContextHead::of(wanted);
  out->mask = wanted.mask;
  out->fault_address = wanted.address;
  for (usize i = 0; i < std::size(frame.x); ++i) out->x[i] = frame.x[i];
  out->sp = frame.sp;
  out->pc = frame.pc;
  out->pstate = frame.pstate;
  out->vectors.magic = kVectorsMagic;
  out->vectors.size = kVectorsSize;
  ax_save_vectors(out->vectors.state);
  out->end_of_records[0] = out->end_of_records[1] = 0;
  out->record[0] = frame.x[29];
  out->record[1] = frame.x[30];
  frame.x[0] = wanted.signal;
  frame.x[1] = reinterpret_cast<u64>(&out->information);
  frame.x[2] = reinterpret_cast<u64>(&out->head);
  frame.x[29] = reinterpret_cast<u64>(out->record);
  frame.x[30] = wanted.return_to;
  frame.sp = reinterpret_cast<u64>(out);
  frame.pc = wanted.handler;
}

u64 pop_signal_frame(UserFrame& frame) {
  const Frame& from = *reinterpret_cast<const Frame*>(frame.sp);
  for (usize i = 0; i < std::size(frame.x); ++i) frame.x[i] = from.x[i];
  frame.sp = from.sp;
  frame.pc = from.pc;
  frame.pstate = from.pstate & kConditionFlags;
  if (from.vectors.magic == kVectorsMagic) ax_load_vectors(from.vectors.state);
  return from.mask;
}

std::span<const u32> signal_return_code() {
  static constexpr u32 kCode[] = {0xd280'1168, 0xd400'0001};  // mov x8, #139; svc #0
  return kCode;
}

}  // namespace ax::uni
