// The service `threads`: clone(), futexes, exit of a thread; preemption and all CPUs of the machine.
#include <arch/cpu.hpp>
#include <new>
#include <utility>

#include "platforms/platform.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/thread/scheduler.hpp"

namespace ax::uni {
namespace {

alignas(Scheduler) constinit std::byte storage[sizeof(Scheduler)] = {};
Scheduler& scheduler() { return *std::launder(reinterpret_cast<Scheduler*>(storage)); }

// ---- clone

enum CloneFlag : u64 {
  kShareMemory = 0x100,
  kThread = 0x1'0000,
  kSetThreadPointer = 0x8'0000,
  kSetParentId = 0x10'0000,
  kClearChildId = 0x20'0000,
};

i64 clone(int (*function)(void*), void* stack, u64 flags, void* argument, i32* parent, void* tls, i32* child) {
  constexpr u64 kNeeded = kShareMemory | kThread;
  if ((flags & kNeeded) != kNeeded) return kNoSystemCall;  // another process
  const u64 pointer = (flags & kSetThreadPointer) != 0 ? reinterpret_cast<u64>(tls) : thread_pointer();
  const Result<Thread*> thread = scheduler().create(function, argument, reinterpret_cast<u64>(stack), pointer);
  if (!thread) return kAgain;
  Thread& created = **thread;
  if ((flags & kClearChildId) != 0) created.clear_at_exit = child;
  const i64 id = created.id;
  if ((flags & kSetParentId) != 0) *parent = static_cast<i32>(id);
  scheduler().start(created);
  return id;
}

void unmap_and_exit(void* base, u64 size) {
  Scheduler::current().stack_to_unmap = {Hva(reinterpret_cast<u64>(base)), align_up(size, kPageSize)};
  scheduler().exit(0);
}

i64 exit_thread(u64 status) { scheduler().exit(static_cast<unsigned>(status)); }

i64 thread_id() { return Scheduler::current().id; }

i64 set_clear_address(i32* address) {
  Scheduler::current().clear_at_exit = address;
  return thread_id();
}

// ---- futex

enum FutexOperation : u64 { kWait = 0, kWake = 1, kRequeue = 3, kCompareAndRequeue = 4, kWaitBits = 9, kWakeBits = 10 };

i64 futex(u32* address, u64 operation, u64 value, u64 time_or_count, u32* target, u64 bits_or_expected) {
  constexpr u64 kOperationMask = 0x7f, kRealtime = 0x100;
  constexpr u32 kAll = ~u32{0};
  const u64 kind = operation & kOperationMask;
  const u32 bits = kind == kWaitBits || kind == kWakeBits ? static_cast<u32>(bits_or_expected) : kAll;
  const u32 expected = static_cast<u32>(bits_or_expected);
  if (bits == 0) return kInvalid;
  switch (kind) {
    case kWait:
    case kWaitBits: {
      u64 deadline = kNever;
      if (const auto* time = reinterpret_cast<const TimeSpec*>(time_or_count)) {
        if (!time->is_right()) return kInvalid;
        const u64 base = kind == kWait ? monotonic_now() : 0;
        deadline = time->in_nanoseconds() > kNever - base ? kNever : base + time->in_nanoseconds();
        if (kind == kWaitBits && (operation & kRealtime) != 0) deadline -= std::min(deadline, wall_clock_offset());
      }
      return scheduler().futex_wait(address, static_cast<u32>(value), deadline, bits);
    }
    case kWake:
    case kWakeBits: return scheduler().futex_wake(address, value, bits);
    case kRequeue: return scheduler().futex_requeue(address, value, time_or_count, target, nullptr);
    case kCompareAndRequeue: return scheduler().futex_requeue(address, value, time_or_count, target, &expected);
    default: return kNoSystemCall;
  }
}

// ---- start

void start() {
  const Result<void> interrupts = init_interrupts(platform::machine());
  if (!interrupts) stop_program("the interrupt controller cannot be used");
  const Result<void> own = init_cpu_interrupts(0);
  if (!own) stop_program("the boot CPU has no interrupts");
  set_wait_hooks({.sleep_until = [](u64 deadline) { scheduler().sleep_until(deadline); }, .yield = [] { scheduler().yield(); }});
  set_cpu_hooks({.interrupt = [] { scheduler().interrupt(); },
                 .secondary = [](unsigned index) { scheduler().run_cpu(index); },
                 .clone = clone,
                 .unmap_and_exit = unmap_and_exit});
  ::new (storage) Scheduler;
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_futex, system_call<futex>},
    {AX_NR_exit, system_call<exit_thread>},
    {AX_NR_gettid, system_call<thread_id>},
    {AX_NR_set_tid_address, system_call<set_clear_address>},
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_threads{"threads", ax::uni::kCalls, ax::uni::start};
