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

// ---- mutexes that outlive their owners

/// struct robust_list_head. The list ends where it begins.
struct RobustList {
  u64 first;
  i64 offset;  ///< from an entry to its futex
  u64 pending;
};

void leave_mutex(u64 entry, const RobustList& list, u32 owner) {
  constexpr u32 kWaiters = 1u << 31, kOwnerDied = 1u << 30, kOwner = kOwnerDied - 1;
  u32* const word = reinterpret_cast<u32*>((entry & ~u64{1}) + static_cast<u64>(list.offset));
  u32 value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  do {
    if ((value & kOwner) != owner) return;
  } while (!__atomic_compare_exchange_n(word, &value, (value & kWaiters) | kOwnerDied, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  if ((value & kWaiters) != 0) scheduler().futex_wake(word, 1, ~u32{0});
}

void leave_mutexes() {
  constexpr unsigned kMost = 2048;  // as Linux: a list may be a ring by mistake
  Thread& self = Scheduler::current();
  const u64 head = std::exchange(self.robust_list, 0);
  if (head == 0) return;
  const RobustList& list = *reinterpret_cast<const RobustList*>(head);
  unsigned count = 0;
  for (u64 entry = list.first; entry != head && entry != 0 && count < kMost; ++count) {
    const u64 next = *reinterpret_cast<const u64*>(entry & ~u64{1});
    if (entry != list.pending) leave_mutex(entry, list, self.id);
    entry = next;
  }
  if (list.pending != 0) leave_mutex(list.pending, list, self.id);
}

i64 set_robust_list(u64 head, u64 size) {
  if (size != sizeof(RobustList)) return kInvalid;
  Scheduler::current().robust_list = head;
  return 0;
}

i64 tell_robust_list(u64 thread, u64* head, u64* size) {
  if (thread != 0) return kPerm;
  *head = Scheduler::current().robust_list;
  *size = sizeof(RobustList);
  return 0;
}

void unmap_and_exit(void* base, u64 size) {
  leave_mutexes();
  Scheduler::current().stack_to_unmap = {Hva(reinterpret_cast<u64>(base)), align_up(size, kPageSize)};
  scheduler().exit(0);
}

i64 exit_thread(u64 status) {
  leave_mutexes();
  scheduler().exit(static_cast<unsigned>(status));
}

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
      // A timer of the program ends the wait earlier, as its signal would.
      const u64 until = until_next_signal(deadline);
      const i64 result = scheduler().futex_wait(address, static_cast<u32>(value), until, bits);
      return result == kTimedOut && until < deadline ? i64{kInterrupted} : result;
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
  if (!start_interrupts()) stop_program("the interrupt controller cannot be used");
  constexpr u32 kAll = ~u32{0};
  set_wait_hooks({.sleep_until = [](u64 deadline) { scheduler().sleep_until(deadline); },
                  .yield = [] { scheduler().yield(); },
                  .wait_for_word =
                      [](const u32* word, u32 value, u64 deadline) {
                        static_cast<void>(scheduler().futex_wait(word, value, deadline, kAll));
                      },
                  .wake = [](const u32* word, u64 count) { static_cast<void>(scheduler().futex_wake(word, count, kAll)); }});
  set_cpu_hooks({.interrupt = [] { scheduler().interrupt(); },
                 .secondary = [](unsigned index) { scheduler().run_cpu(index); },
                 .clone = clone,
                 .unmap_and_exit = unmap_and_exit,
                 .signals = [](u32 thread) { return scheduler().signals_of(thread); },
                 .interrupt_thread = [](u32 thread, u64 signal) { scheduler().interrupt_thread(thread, signal); },
                 .signal_times_changed = [] { scheduler().set_own_timer(); }});
  ::new (storage) Scheduler;
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_futex, system_call<futex>},
    {AX_NR_exit, system_call<exit_thread>},
    {AX_NR_gettid, system_call<thread_id>},
    {AX_NR_set_robust_list, system_call<set_robust_list>},
    {AX_NR_get_robust_list, system_call<tell_robust_list>},
    {AX_NR_set_tid_address, system_call<set_clear_address>},
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_threads{"threads", ax::uni::kCalls, ax::uni::start};
