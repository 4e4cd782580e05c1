// Mistakes and signals of a ready-made program.
#include <algorithm>
#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "platforms/common/panic.hpp"
#include "platforms/platform.hpp"
#include "unikernel/app/app.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/signals.hpp"
#include "unikernel/memory/program_memory.hpp"

namespace ax::uni {
namespace {

constexpr unsigned kBySignal = 128;
constexpr u64 kProcess = 1;

/// As the platform's report of a crash, with addresses of the program's file.
void print_calls(const UserFrame& frame) {
  constexpr unsigned kMost = 32;
  log::print_line("back-trace (llvm-symbolizer --obj=PROGRAM ADDRESS...):");
  const u64 moved = program_bias();
  u64 link = frame.return_address();
  if (UserFrame::kLinkOnStack && platform::is_readable(frame.sp)) link = *reinterpret_cast<const u64*>(frame.sp);
  if (link != 0) log::print_line("  called from program {:#x}, if #0 calls nothing itself", link - platform::kCallSize - moved);
  u64 pc = frame.pc, at = frame.frame_pointer();
  for (unsigned depth = 0; depth < kMost; ++depth) {
    log::print_line("  #{} program {:#x}", depth, pc - moved);
    const u64 place = at - arch::kRecordBelowFrame;
    if (at == 0 || !platform::is_readable(place) || !platform::is_readable(place + sizeof(u64))) return;
    const u64* record = reinterpret_cast<const u64*>(place);
    if (record[1] == 0) return;
    pc = record[1] - platform::kCallSize;
    at = record[0] > at ? record[0] : 0;
  }
}

std::string_view cause_of(const UserTrap& trap) {
  if (trap.kind != UserTrap::Kind::MemoryFault) return "";
  if (trap.address < kPageSize) return trap.execute ? " (call of a null pointer)" : " (access through a null pointer)";
  return is_stack_guard(trap.address) ? " (stack overflow)" : "";
}

}  // namespace

void report_mistake(const UserFrame& frame, const UserTrap& trap) {
  log::print_line("unikernel: the program crashed: {}{}", trap.name, cause_of(trap));
  if (trap.kind == UserTrap::Kind::MemoryFault)
    log::print_line("  {} {:#x}", trap.execute ? "execution at" : trap.write ? "write to" : "read of", trap.address);
  print_user_registers(frame);
  print_calls(frame);
  end_program(kBySignal + trap.signal);
}

// ---- handlers

namespace {

enum ActionFlag : u64 { kOnStack = 0x0800'0000, kRestart = 0x1000'0000, kHasRestorer = 0x0400'0000 };
constexpr i32 kByThread = -6, kNotMapped = 1, kByKernel = 128;

constinit u64 return_code = 0;

bool may_repeat(u64 call) {
  constexpr u16 kCalls[] = {AX_NR_read,   AX_NR_readv, AX_NR_write, AX_NR_writev,
                            AX_NR_openat, AX_NR_fcntl, AX_NR_ioctl, AX_NR_futex};
  return std::ranges::find(kCalls, call) != std::end(kCalls);
}

void begin_handler(UserFrame& frame, const SignalDelivery& delivery, i32 code, u64 address) {
  constexpr u64 kStackInUse = 1, kNoStack = 2;
  const AlternateStack& other = thread_of(frame).stack;
  const bool there = frame.sp - other.base < other.size;
  const bool change = (delivery.flags & kOnStack) != 0 && other.size != 0 && !there;
  push_signal_frame(frame, {.signal = delivery.signal,
                            .code = code,
                            .address = address,
                            .handler = delivery.handler,
                            .return_to = (delivery.flags & kHasRestorer) != 0 ? delivery.restorer : return_code,
                            .mask = delivery.mask_before,
                            .stack = change ? other.base + other.size : frame.sp - kRedZone,
                            .stack_base = other.base,
                            .stack_size = other.size,
                            .stack_flags = other.size == 0 ? kNoStack
                                           : there         ? kStackInUse
                                                           : 0});
}

/// struct stack_t, which has 32 bits of flags.
struct LinuxStack {
  u64 base;
  u32 flags, padding;
  u64 size;
};

#if defined(__riscv)
/// Linux has no restorer there: the service's structure has.
struct LinuxAction {
  u64 handler, flags, mask;
};
struct ServiceAction {
  u64 handler, flags, restorer, mask;
};

i64 set_action(UserFrame& frame) {
  const LinuxAction* wanted = reinterpret_cast<const LinuxAction*>(frame.argument(1));
  LinuxAction* old = reinterpret_cast<LinuxAction*>(frame.argument(2));
  ServiceAction to{}, from{};
  if (wanted != nullptr) to = {wanted->handler, wanted->flags & ~u64{kHasRestorer}, 0, wanted->mask};
  const i64 result = ax_system_call(frame.argument(0), wanted == nullptr ? 0 : reinterpret_cast<u64>(&to),
                                    reinterpret_cast<u64>(&from), frame.argument(3), 0, 0, AX_NR_rt_sigaction);
  if (result == 0 && old != nullptr) *old = {from.handler, from.flags, from.mask};
  return result;
}
#endif

i64 set_stack(UserFrame& frame) {
  constexpr u32 kStackInUse = 1, kNoStack = 2;
  constexpr u64 kLeast = 2048;
  AlternateStack& own = thread_of(frame).stack;
  const LinuxStack* wanted = reinterpret_cast<const LinuxStack*>(frame.argument(0));
  LinuxStack* old = reinterpret_cast<LinuxStack*>(frame.argument(1));
  const bool there = frame.sp - own.base < own.size;
  const AlternateStack before = own;
  if (wanted != nullptr) {
    if (there) return kPerm;
    if ((wanted->flags & ~kNoStack) != 0) return kInvalid;
    if (wanted->flags == 0 && wanted->size < kLeast) return kNoMemory;
    own = wanted->flags == kNoStack ? AlternateStack{} : AlternateStack{wanted->base, wanted->size};
  }
  if (old != nullptr) *old = {before.base, before.size == 0 ? kNoStack : there ? kStackInUse : 0, 0, before.size};
  return 0;
}

/// The end of a handler: registers and mask are as before.
i64 return_from_signal(UserFrame& frame) {
  const u64 mask = pop_signal_frame(frame);
  if (signal_hooks().exchange_mask != nullptr) static_cast<void>(signal_hooks().exchange_mask(mask));
  return frame.result();
}

constexpr FrameCall kSignalCalls[] = {
    {AX_NR_rt_sigreturn, return_from_signal},
    {AX_NR_sigaltstack, set_stack},
#if defined(__riscv)
    {AX_NR_rt_sigaction, set_action},
#endif
};

}  // namespace

std::span<const FrameCall> signal_calls() { return kSignalCalls; }

void deliver_signals(UserFrame& frame, bool after_call, u64 call, u64 first_argument) {
  if (signal_hooks().take == nullptr) return;
  SignalDelivery delivery;
  for (bool first = true; signal_hooks().take(delivery); first = false) {
    if (first && after_call && frame.result() == kInterrupted && (delivery.flags & kRestart) != 0 && may_repeat(call))
      frame.repeat_call(call, first_argument);
    begin_handler(frame, delivery, kByThread, kProcess);
  }
}

bool handle_mistake(UserFrame& frame, const UserTrap& trap) {
  SignalDelivery delivery;
  if (signal_hooks().force == nullptr || !signal_hooks().force(trap.signal, delivery)) return false;
  begin_handler(frame, delivery, trap.kind == UserTrap::Kind::MemoryFault ? kNotMapped : kByKernel,
                trap.kind == UserTrap::Kind::MemoryFault ? trap.address : frame.pc);
  return true;
}

void start_signals() {
  if (signal_hooks().defer == nullptr) return;
  signal_hooks().defer();
  const std::span<const u32> code = signal_return_code();
  if (code.empty()) return;
  const auto page = program_memory().lock()->map(kPageSize, Hva(0), kRead | kWrite);
  if (!page) stop_program("there is not enough memory for the program");
  return_code = page->value();
  std::ranges::copy(code, reinterpret_cast<u32*>(return_code));
  synchronise_code({*page, kPageSize});
  static_cast<void>(program_memory().lock()->protect({*page, kPageSize}, kRead | kExecute));
}

}  // namespace ax::uni
