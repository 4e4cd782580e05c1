#include "unikernel/app/user.hpp"

#include <arch/cpu.hpp>
#include <arch/cpuid.hpp>
#include <arch/msr.hpp>
#include <board_config.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"
#include "unikernel/app/signal_information.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/signals.hpp"

extern "C" {
[[gnu::visibility("hidden")]] extern const char ax_user_gates[];
[[gnu::visibility("hidden")]] extern const char ax_user_call[];
}

namespace ax::uni {
namespace {

constexpr u64 kPageFault = 14, kCallVector = 256, kBreakpoint = 3;
constexpr u64 kUserData = 0x2b, kUserCode = 0x33, kGateSize = 32;
constexpr u64 kInterruptsEnabled = 1 << 9, kAlwaysSet = 1 << 1;

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u64 base;
};

struct [[gnu::packed]] TaskState {
  u32 reserved;
  u64 stack;  ///< of ring 0
};

struct Gate {
  u64 low, high;
};
alignas(16) constinit Gate gates[VECTOR_COUNT] = {};

/// The platform's descriptors with two of ring 3 behind them.
constexpr usize kKernelDescriptors = 5, kDescriptors = 7;
constinit u64 descriptors[board::kMaxCpus][kDescriptors] = {};

/// The platform's gates with our entry points.
void fill_gates(const Gate* from) {
  for (u64 vector = 0; vector < VECTOR_COUNT; ++vector) {
    constexpr u64 kOffsetBits = 0xffff'0000'0000'ffff, kForUser = u64{3} << 45;
    const u64 entry = reinterpret_cast<u64>(ax_user_gates) + vector * kGateSize;
    gates[vector] = from[vector];
    if (vector == NMI_VECTOR) continue;
    gates[vector].low = (from[vector].low & ~kOffsetBits) | (entry & 0xffff) | (entry >> 16 & 0xffff) << 48 |
                        (vector == kBreakpoint ? kForUser : 0);
    gates[vector].high = entry >> 32;
  }
}

void prepare_cpu(percpu::PerCpu& cpu) {
  constexpr u32 kStar = 0xc000'0081, kLongStar = 0xc000'0082, kMask = 0xc000'0084, kFsBase = 0xc000'0100, kGsBase = 0xc000'0101;
  constexpr u64 kUserDataDescriptor = DATA_DESCRIPTOR | u64{3} << 45, kUserCodeDescriptor = CODE_DESCRIPTOR | u64{3} << 45;
  constexpr u64 kMaskedFlags = 0x4'7700;  // AC, NT, IOPL, DF, IF, TF
  TableRegister table{};
  asm volatile("sgdt %0" : "=m"(table));
  const u64* from = reinterpret_cast<const u64*>(table.base);
  u64* to = descriptors[cpu.index];
  for (usize i = 0; i < kKernelDescriptors; ++i) to[i] = from[i];
  to[kUserData / sizeof(u64)] = kUserDataDescriptor;
  to[kUserCode / sizeof(u64)] = kUserCodeDescriptor;
  const u64 low = to[TSS_SELECTOR / sizeof(u64)];
  cpu.user_entry =
      reinterpret_cast<void*>((low >> 16 & 0xff'ffff) | (low >> 56 & 0xff) << 24 | to[TSS_SELECTOR / sizeof(u64) + 1] << 32);
  table = {sizeof descriptors[0] - 1, reinterpret_cast<u64>(to)};
  asm volatile("lgdt %0" : : "m"(table));
  asm volatile("sidt %0" : "=m"(table));
  if (gates[0].low == 0) fill_gates(reinterpret_cast<const Gate*>(table.base));
  table.base = reinterpret_cast<u64>(gates);
  asm volatile("lidt %0" : : "m"(table));
  // Selectors that ring 3 may not have are cleared on the way there, and bases with them.
  const u64 fs = arch::read_msr(kFsBase), gs = arch::read_msr(kGsBase);
  asm volatile("movw %w0, %%ds; movw %w0, %%es; movw %w0, %%fs; movw %w0, %%gs" : : "r"(0));
  arch::write_msr(kFsBase, fs);
  arch::write_msr(kGsBase, gs);
  arch::write_msr(kStar, u64{CODE_SELECTOR} << 32);
  arch::write_msr(kLongStar, reinterpret_cast<u64>(ax_user_call));
  arch::write_msr(kMask, kMaskedFlags);
  arch::IA32_EFER::write(arch::IA32_EFER::read() | arch::IA32_EFER::SCE);
}

TaskState& task_state() { return *static_cast<TaskState*>(percpu::this_cpu().user_entry); }

struct VectorName {
  u8 vector;
  u8 signal;
  std::string_view name;
};
/// SDM vol. 3 6.15; signals are Linux's.
constexpr VectorName kVectors[] = {
    {0, Signal::kFpe, "divide error"}, {1, Signal::kTrap, "debug exception"},     {3, Signal::kTrap, "breakpoint"},
    {4, Signal::kSegv, "overflow"},    {5, Signal::kSegv, "bound range"},         {6, Signal::kIll, "invalid opcode"},
    {12, Signal::kBus, "stack fault"}, {13, Signal::kSegv, "general protection"}, {14, Signal::kSegv, "page fault"},
    {16, Signal::kFpe, "x87 error"},   {17, Signal::kBus, "misaligned access"},   {19, Signal::kFpe, "SIMD error"},
};

}  // namespace

UserTrap user_trap(UserFrame& frame, u64 cause) {
  if (cause == kCallVector) return {.kind = UserTrap::Kind::Call};
  if (cause >= FIRST_INTERRUPT_VECTOR) {
    percpu::this_cpu().vector = cause;
    platform::handle_interrupt();
    return {.kind = UserTrap::Kind::Interrupt};
  }
  UserTrap trap{.signal = Signal::kSegv, .name = "unexpected exception"};
  for (const VectorName& entry : kVectors) {
    if (entry.vector == cause) trap.signal = entry.signal, trap.name = entry.name;
  }
  if (cause == kPageFault) {
    constexpr u64 kWrite = 2, kFetch = 16;
    trap.kind = UserTrap::Kind::MemoryFault;
    trap.write = (frame.error & kWrite) != 0;
    trap.execute = (frame.error & kFetch) != 0;
    trap.address = arch::CR2::read();
  }
  return trap;
}

void prepare_user_mode(UserFrame& frame) {
  percpu::PerCpu& cpu = percpu::this_cpu();
  if (cpu.user_entry == nullptr) prepare_cpu(cpu);
  task_state().stack = reinterpret_cast<u64>(&frame + 1);
}

UserFrame& current_user_frame() { return reinterpret_cast<UserFrame*>(task_state().stack)[-1]; }

UserFrame new_user_frame(u64 pc, u64 sp) {
  UserFrame frame{};
  frame.pc = pc;
  frame.sp = sp;
  frame.cs = kUserCode;
  frame.ss = kUserData;
  frame.flags = kInterruptsEnabled | kAlwaysSet;
  return frame;
}

void synchronise_code(Range<Hva>) {}  // caches of x86 agree

CpuFeatures cpu_features() {
  constexpr u32 kFeatures = 1;
  return {.first = arch::cpuid(kFeatures).edx, .second = 0};
}

std::optional<i64> machine_call(u64 number, u64 a, u64 b) {
  enum Operation : u64 { kSetFs = 0x1002, kGetFs = 0x1003 };
  constexpr u64 kLimit = u64{1} << 47;
  if (number != AX_NR_arch_prctl) return std::nullopt;
  switch (a) {
    case kSetFs:
      if (b >= kLimit) return kPerm;
      set_thread_pointer(b);
      return 0;
    case kGetFs: *reinterpret_cast<u64*>(b) = thread_pointer(); return 0;
    default: return kInvalid;
  }
}

void print_user_registers(const UserFrame& frame) {
  const struct {
    std::string_view name;
    u64 value;
  } all[] = {{"rax", frame.rax}, {"rbx", frame.rbx}, {"rcx", frame.rcx}, {"rdx", frame.rdx},
             {"rsi", frame.rsi}, {"rdi", frame.rdi}, {"rbp", frame.rbp}, {"rsp", frame.sp},
             {"r8", frame.r8},   {"r9", frame.r9},   {"r10", frame.r10}, {"r11", frame.r11},
             {"r12", frame.r12}, {"r13", frame.r13}, {"r14", frame.r14}, {"r15", frame.r15}};
  for (usize i = 0; i < std::size(all); i += 2)
    log::print_line("  {:3} {:016x}  {:3} {:016x}", all[i].name, all[i].value, all[i + 1].name, all[i + 1].value);
  log::print_line("  rip {:016x}  rflags {:08x}  error {:x}", frame.pc, frame.flags, frame.error);
}

// ---- signals

namespace {

/// struct rt_sigframe; the vector registers lie above it.
struct Frame {
  u64 return_to;
  ContextHead head;
  u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags;
  u16 cs, gs, fs, ss;
  u64 error, vector, old_mask, fault_address;
  void* vectors;
  u64 reserved[8];
  u64 mask;
  SignalInformation information;
};
static_assert(offsetof(Frame, mask) == 8 + 40 + 256);

constexpr u64 kVectorsSize = 512, kUserFlags = 0xcd5, kHandlerClears = 0x500;  // TF, DF

}  // namespace

void push_signal_frame(UserFrame& frame, const SignalFrame& wanted) {
  u8* vectors = reinterpret_cast<u8*>(align_down(wanted.stack - kVectorsSize, 64));
  ax_save_vectors(vectors);
  Frame* out = reinterpret_cast<Frame*>(align_down(reinterpret_cast<u64>(vectors) - sizeof(Frame), 16) - sizeof(u64));
  *out = {.return_to = wanted.return_to,
          .head = ContextHead::of(wanted),
          .r8 = frame.r8,
          .r9 = frame.r9,
          .r10 = frame.r10,
          .r11 = frame.r11,
          .r12 = frame.r12,
          .r13 = frame.r13,
          .r14 = frame.r14,
          .r15 = frame.r15,
          .rdi = frame.rdi,
          .rsi = frame.rsi,
          .rbp = frame.rbp,
          .rbx = frame.rbx,
          .rdx = frame.rdx,
          .rax = frame.rax,
          .rcx = frame.rcx,
          .rsp = frame.sp,
          .rip = frame.pc,
          .flags = frame.flags,
          .cs = static_cast<u16>(frame.cs),
          .gs = 0,
          .fs = 0,
          .ss = static_cast<u16>(frame.ss),
          .error = frame.error,
          .vector = frame.vector,
          .old_mask = wanted.mask,
          .fault_address = wanted.address,
          .vectors = vectors,
          .reserved = {},
          .mask = wanted.mask,
          .information = information_of(wanted)};
  frame.rdi = wanted.signal;
  frame.rsi = reinterpret_cast<u64>(&out->information);
  frame.rdx = reinterpret_cast<u64>(&out->head);
  frame.rax = 0;
  frame.sp = reinterpret_cast<u64>(out);
  frame.pc = wanted.handler;
  frame.flags &= ~kHandlerClears;
}

u64 pop_signal_frame(UserFrame& frame) {
  // The handler has returned: its return address is off the stack.
  const Frame& from = *reinterpret_cast<const Frame*>(frame.sp - sizeof(u64));
  frame.r8 = from.r8, frame.r9 = from.r9, frame.r10 = from.r10, frame.r11 = from.r11;
  frame.r12 = from.r12, frame.r13 = from.r13, frame.r14 = from.r14, frame.r15 = from.r15;
  frame.rdi = from.rdi, frame.rsi = from.rsi, frame.rbp = from.rbp, frame.rbx = from.rbx;
  frame.rdx = from.rdx, frame.rax = from.rax, frame.rcx = from.rcx, frame.sp = from.rsp, frame.pc = from.rip;
  frame.flags = (from.flags & kUserFlags) | kInterruptsEnabled | kAlwaysSet;
  if (from.vectors != nullptr) ax_load_vectors(from.vectors);
  return from.mask;
}

std::span<const u32> signal_return_code() { return {}; }

}  // namespace ax::uni
