// The service `signals`: handlers, masks, waiting for signals, and the interval timer that alarm() uses. A handler runs at the end of
// the system call during which its signal came, or of the next one: a program that computes is not interrupted.
#include <array>
#include <atomic>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/signals.hpp"
#include "unikernel/core/waiting.hpp"

namespace ax::uni {
namespace {

constexpr unsigned kSignals = 64;
constexpr u64 kNotMaskable = u64{1} << (Signal::kKill - 1) | u64{1} << (Signal::kStop - 1);

constexpr u64 bit(unsigned signal) { return u64{1} << (signal - 1); }

/// struct siginfo: what programs look at of it.
struct Information {
  i32 signal, error, code, padding;
  i32 process;
  u32 user;
  u64 rest[13];
};
static_assert(sizeof(Information) == 128);

/// struct ucontext: the mask that the thread gets back. Registers are all zero: nothing was interrupted in the middle.
struct Context {
#if defined(__x86_64__)
  u64 flags, link, stack[3], registers[32];
  u64 mask;
  u64 rest[128];
#else
  u64 flags, link, stack[3];
  u64 mask;
  u64 rest[160];
#endif
};

union Handler {
  u64 value;
  void (*function)(i32 signal, Information* information, Context* context);
};
constexpr u64 kDefault = 0, kIgnore = 1;

/// struct sigaction of the kernel, as musl passes it; on RISC-V too, where Linux has no restorer.
struct Action {
  Handler handler{};
  u64 flags = 0;
  u64 restorer = 0;
  u64 mask = 0;
};
enum ActionFlag : u64 { kRestart = 0x1000'0000, kNoDefer = 0x4000'0000, kOnce = 0x8000'0000 };

constinit Mutex lock;
constinit std::array<Action, kSignals + 1> actions;
constinit ThreadSignals only_thread;
constinit std::atomic<u64> process_pending{0};

struct Timer {
  u64 deadline = kNever, interval = 0;
};
constinit Timer timer;
constinit std::atomic<u64> timer_deadline{kNever};

ThreadSignals& mine() {
  ThreadSignals* own = thread_signals(0);
  return own != nullptr ? *own : only_thread;
}

void check_timer() {
  if (monotonic_now() < timer_deadline.load(std::memory_order_relaxed)) return;
  const MutexGuard guard(lock);
  const u64 now = monotonic_now();
  if (now < timer.deadline) return;
  timer.deadline = timer.interval == 0 ? kNever : now + timer.interval;
  timer_deadline.store(timer.deadline);
  process_pending.fetch_or(bit(Signal::kAlarm));
  signal_times_changed();
}

/// The lowest signal of `set` that waits for this thread; 0: none. It does not wait any more.
unsigned take(u64 set) {
  check_timer();
  ThreadSignals& own = mine();
  for (;;) {
    const u64 process = process_pending.load(), thread = __atomic_load_n(&own.pending, __ATOMIC_SEQ_CST),
              all = (process | thread) & set;
    if (all == 0) return 0;
    const unsigned signal = static_cast<unsigned>(__builtin_ctzll(all)) + 1;
    const u64 before = (thread & bit(signal)) != 0 ? __atomic_fetch_and(&own.pending, ~bit(signal), __ATOMIC_SEQ_CST)
                                                   : process_pending.fetch_and(~bit(signal));
    if ((before & bit(signal)) != 0) return signal;
  }
}

Action action_of(unsigned signal, bool begins) {
  const MutexGuard guard(lock);
  const Action action = actions[signal];
  if (begins && (action.flags & kOnce) != 0) actions[signal] = {};
  return action;
}

/// The mask of the thread while the handler runs; what it was.
u64 mask_for(ThreadSignals& own, unsigned signal, const Action& action) {
  const u64 more = (action.mask | ((action.flags & kNoDefer) != 0 ? 0 : bit(signal))) & ~kNotMaskable;
  return std::exchange(own.mask, own.mask | more);
}

/// The next signal that has a handler: what has none has its default action.
unsigned take_handled(Action& action) {
  while (const unsigned signal = take(~mine().mask)) {
    action = action_of(signal, true);
    if (action.handler.value > kIgnore) return signal;
    if (action.handler.value == kDefault) default_action(signal);
  }
  return 0;
}

SignalHooks::Handled handle() {
  SignalHooks::Handled handled;
  ThreadSignals& own = mine();
  Action action;
  while (const unsigned signal = take_handled(action)) {
    handled.any = true;
    handled.restart = handled.restart && (action.flags & kRestart) != 0;
    Information information{};
    information.signal = static_cast<i32>(signal);
    information.process = 1;
    Context context{};
    context.mask = mask_for(own, signal, action);
    action.handler.function(static_cast<i32>(signal), &information, &context);
    mine().mask = context.mask & ~kNotMaskable;
  }
  return handled;
}

// ---- handlers in user mode

constinit bool deferred = false;

/// Whether a handler has to run: the call ends, and its end finds it.
SignalHooks::Handled look() {
  for (;;) {
    check_timer();
    ThreadSignals& own = mine();
    const u64 all = (process_pending.load() | __atomic_load_n(&own.pending, __ATOMIC_SEQ_CST)) & ~own.mask;
    if (all == 0) return {};
    const unsigned signal = static_cast<unsigned>(__builtin_ctzll(all)) + 1;
    const u64 handler = action_of(signal, false).handler.value;
    if (handler > kIgnore) return {.any = true, .restart = false};
    if (take(bit(signal)) != 0 && handler == kDefault) default_action(signal);
  }
}

void begin(unsigned signal, const Action& action, SignalDelivery& delivery) {
  delivery = {signal, action.handler.value, action.flags, action.restorer, mask_for(mine(), signal, action)};
}

bool take_delivery(SignalDelivery& delivery) {
  Action action;
  for (;;) {
    const unsigned signal = take_handled(action);
    if (signal != 0) begin(signal, action, delivery);
    const u64 restore = std::exchange(mine().restore, 0);
    if (restore == 0) return signal != 0;
    const u64 mask = restore & ~ThreadSignals::kRestore;
    if (signal != 0) {
      delivery.mask_before = mask;
      return true;
    }
    mine().mask = mask;  // more may be allowed now
  }
}

bool force_delivery(unsigned signal, SignalDelivery& delivery) {
  if ((mine().mask & bit(signal)) != 0 || action_of(signal, false).handler.value <= kIgnore) return false;
  begin(signal, action_of(signal, true), delivery);
  return true;
}

i64 after_call(i64 result) {
  if (!deferred) static_cast<void>(handle());
  return result;
}

/// What is ignored does not even wait, unless somebody waits for it.
bool is_nothing(unsigned signal) {
  const MutexGuard guard(lock);
  return actions[signal].handler.value == kIgnore;
}

void raise(unsigned signal) {
  if (!is_nothing(signal)) __atomic_fetch_or(&mine().pending, bit(signal), __ATOMIC_SEQ_CST);
}

i64 send_to_process(u64, u64 signal) {
  if (signal > kSignals) return kInvalid;
  if (signal == 0 || is_nothing(static_cast<unsigned>(signal))) return 0;
  const unsigned number = static_cast<unsigned>(signal);
  if ((mine().mask & bit(number)) == 0) {
    raise(number);
    return 0;
  }
  process_pending.fetch_or(bit(number));
  interrupt_thread(0, bit(number));
  announce_change();
  return 0;
}

i64 send_to_thread(u64 thread, u64 signal) {
  constexpr i64 kNoProcess = -3;
  if (signal > kSignals) return kInvalid;
  ThreadSignals* of = thread_signals(static_cast<u32>(thread));
  if (of == nullptr && thread != 1) return kNoProcess;
  if (signal == 0 || is_nothing(static_cast<unsigned>(signal))) return 0;
  __atomic_fetch_or(of != nullptr ? &of->pending : &only_thread.pending, bit(static_cast<unsigned>(signal)), __ATOMIC_SEQ_CST);
  interrupt_thread(static_cast<u32>(thread), bit(static_cast<unsigned>(signal)));
  announce_change();
  return 0;
}
i64 send_to_thread_of(u64, u64 thread, u64 signal) { return send_to_thread(thread, signal); }

i64 set_action(u64 signal, const Action* wanted, Action* old) {
  if (signal == 0 || signal > kSignals || (wanted != nullptr && (signal == Signal::kKill || signal == Signal::kStop)))
    return kInvalid;
  const MutexGuard guard(lock);
  if (old != nullptr) *old = actions[signal];
  if (wanted != nullptr) actions[signal] = *wanted;
  return 0;
}

i64 change_mask(u64 how, const u64* set, u64* old) {
  enum How : u64 { kBlock, kUnblock, kSet };
  ThreadSignals& own = mine();
  const u64 before = own.mask;
  if (set != nullptr) {
    if (how > kSet) return kInvalid;
    own.mask = (how == kBlock ? before | *set : how == kUnblock ? before & ~*set : *set) & ~kNotMaskable;
  }
  if (old != nullptr) *old = before;
  return 0;
}

u64 exchange_mask(u64 mask) { return std::exchange(mine().mask, mask & ~kNotMaskable); }

void restore_mask(u64 mask) { deferred ? mine().restore = mask | ThreadSignals::kRestore : mine().mask = mask; }

i64 tell_pending(u64* set) {
  *set = (process_pending.load() | mine().pending) & mine().mask;
  return 0;
}

i64 suspend(const u64* mask) {
  const u64 before = exchange_mask(*mask);
  i64 result;
  while ((result = wait_interruptibly(change_count(), kNever, Restart::Never)) == 0) {}
  restore_mask(before);
  return result;
}

[[maybe_unused]] i64 pause() { return suspend(&mine().mask); }

i64 wait_for_signal(const u64* set, Information* information, const TimeSpec* time) {
  if (time != nullptr && !time->is_right()) return kInvalid;
  const u64 now = monotonic_now(), length = time == nullptr ? kNever : time->in_nanoseconds();
  const u64 deadline = length > kNever - now ? kNever : now + length;
  for (;;) {
    const u32 seen = change_count();
    if (const unsigned signal = take(*set)) {
      if (information != nullptr)
        *information = {
            .signal = static_cast<i32>(signal), .error = 0, .code = 0, .padding = 0, .process = 1, .user = 0, .rest = {}};
      return signal;
    }
    if (monotonic_now() >= deadline) return kAgain;
    if (const i64 error = wait_interruptibly(seen, deadline, Restart::Never); error != 0) return error;
  }
}

/// struct itimerval.
struct TimerValue {
  i64 interval_seconds, interval_microseconds, seconds, microseconds;
};

void tell(const Timer& from, TimerValue& out) {
  constexpr u64 kMicro = 1000, kSecond = 1'000'000;
  const u64 now = monotonic_now(), left = from.deadline == kNever ? 0 : std::max(from.deadline, now + kMicro) - now;
  out = {static_cast<i64>(from.interval / kMicro / kSecond), static_cast<i64>(from.interval / kMicro % kSecond),
         static_cast<i64>(left / kMicro / kSecond), static_cast<i64>(left / kMicro % kSecond)};
}

i64 set_timer(u64 which, const TimerValue* wanted, TimerValue* old) {
  if (which != 0) return kInvalid;  // the two others measure a process's own time
  const auto is_right = [](i64 seconds, i64 microseconds) {
    return seconds >= 0 && microseconds >= 0 && microseconds < 1'000'000;
  };
  if (!is_right(wanted->seconds, wanted->microseconds) || !is_right(wanted->interval_seconds, wanted->interval_microseconds))
    return kInvalid;
  const auto length = [](i64 seconds, i64 microseconds) { return TimeSpec{seconds, microseconds * 1000}.in_nanoseconds(); };
  const MutexGuard guard(lock);
  if (old != nullptr) tell(timer, *old);
  const u64 first = length(wanted->seconds, wanted->microseconds);
  timer = {first == 0 ? kNever : monotonic_now() + first, length(wanted->interval_seconds, wanted->interval_microseconds)};
  timer_deadline.store(timer.deadline);
  announce_change();  // who waits learns of the new moment
  signal_times_changed();
  return 0;
}

i64 tell_timer(u64 which, TimerValue* out) {
  if (which != 0) return kInvalid;
  const MutexGuard guard(lock);
  tell(timer, *out);
  return 0;
}

void start() {
  set_signal_hooks({.raise = raise,
                    .handle = [] { return deferred ? look() : handle(); },
                    .next_timer = [] { return timer_deadline.load(std::memory_order_relaxed); },
                    .next_interrupt = [] { return deferred ? timer_deadline.load(std::memory_order_relaxed) : kNever; },
                    .exchange_mask = exchange_mask,
                    .restore_mask = restore_mask,
                    .defer = [] { deferred = true; },
                    .take = take_delivery,
                    .force = force_delivery});
  set_after_call(after_call);
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_rt_sigaction, system_call<set_action>},
    {AX_NR_rt_sigprocmask, system_call<change_mask>},
    {AX_NR_rt_sigpending, system_call<tell_pending>},
    {AX_NR_rt_sigsuspend, system_call<suspend>},
    {AX_NR_rt_sigtimedwait, system_call<wait_for_signal>},
    {AX_NR_kill, system_call<send_to_process>},
    {AX_NR_tkill, system_call<send_to_thread>},
    {AX_NR_tgkill, system_call<send_to_thread_of>},
    {AX_NR_setitimer, system_call<set_timer>},
    {AX_NR_getitimer, system_call<tell_timer>},
#ifdef AX_NR_pause
    {AX_NR_pause, system_call<pause>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_signals{"signals", ax::uni::kCalls, ax::uni::start};
