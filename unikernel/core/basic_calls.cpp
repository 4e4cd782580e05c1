// The system calls that every program has, whatever its services: identity, clocks, limits, the end.
#include <algorithm>
#include <arch/cpu.hpp>
#include <utility>

#include "kernel/base/memory.hpp"
#include "unikernel/core/basic_calls.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/signals.hpp"
#include "unikernel/core/time.hpp"
#include "unikernel/core/waiting.hpp"

namespace ax::uni {
namespace {

constexpr i64 kProcessId = 1;

i64 exit_program(u64 status) { end_program(static_cast<unsigned>(status)); }
/// Without a service for signals each has its default action, and a program can only reach itself.
i64 signal_self(u64 signal) {
  constexpr u64 kLast = 64;
  if (signal > kLast) return kInvalid;
  if (signal != 0) default_action(static_cast<unsigned>(signal));
  return 0;
}
i64 signal_process(u64, u64 signal) { return signal_self(signal); }
i64 signal_thread(u64, u64, u64 signal) { return signal_self(signal); }

i64 process_id() { return kProcessId; }
i64 nothing() { return 0; }

// ---- identity

constexpr usize kNameSize = 65;
struct SystemName {
  char system[kNameSize], node[kNameSize], release[kNameSize], version[kNameSize], machine[kNameSize], domain[kNameSize];
};

void put(char (&field)[kNameSize], std::string_view text) {
  usize i = 0;
  for (; i < text.size(); ++i) field[i] = text[i];
  field[i] = 0;
}

i64 name_system(SystemName* name) {
  put(name->system, "Linux");  // what programs ask for: the system calls are Linux's
  put(name->node, "unikernel");
  put(name->release, "6.1.0");
  put(name->version, "unikernel");
  put(name->machine, AX_MACHINE_NAME);
  put(name->domain, "");
  return 0;
}

// ---- clocks

enum Clock : u64 { kRealtime = 0, kMonotonic = 1, kProcessTime = 2, kThreadTime = 3, kMonotonicRaw = 4, kRealtimeCoarse = 5,
                   kMonotonicCoarse = 6, kBootTime = 7 };

bool is_wall_clock(u64 clock) { return clock == kRealtime || clock == kRealtimeCoarse; }

i64 clock_get(u64 clock, TimeSpec* time) {
  if (clock > kBootTime) return kInvalid;
  *time = TimeSpec::of(monotonic_now() + (is_wall_clock(clock) ? wall_clock_offset() : 0));
  return 0;
}

i64 clock_resolution(u64 clock, TimeSpec* resolution) {
  if (clock > kBootTime) return kInvalid;
  const u64 frequency = drivers::host_timer::frequency();
  if (resolution != nullptr) *resolution = TimeSpec::of((kNanosecondsPerSecond + frequency - 1) / frequency);
  return 0;
}

/// Until the moment, or until a signal was handled.
i64 sleep_interruptibly(u64 until) {
  while (monotonic_now() < until) {
    if (const i64 error = wait_interruptibly(change_count(), until, Restart::Never); error != 0) return error;
  }
  return 0;
}

i64 clock_sleep(u64 clock, u64 flags, const TimeSpec* time, TimeSpec* left) {
  constexpr u64 kAbsolute = 1;
  if (clock > kBootTime || !time->is_right()) return kInvalid;
  u64 until = time->in_nanoseconds();
  if ((flags & kAbsolute) == 0) {
    const u64 now = monotonic_now();
    until = until > kNever - now ? kNever : now + until;
  } else if (is_wall_clock(clock)) {
    until = until > wall_clock_offset() ? until - wall_clock_offset() : 0;
  }
  if (!handles_signals()) {
    sleep_until(until);
    return 0;
  }
  const i64 result = sleep_interruptibly(until);
  if (result != 0 && left != nullptr && (flags & kAbsolute) == 0) *left = TimeSpec::of(until - std::min(until, monotonic_now()));
  return result;
}

i64 sleep_for(const TimeSpec* time, TimeSpec* left) { return clock_sleep(kMonotonic, 0, time, left); }

i64 yield_now() {
  yield();
  return 0;
}

[[maybe_unused]] i64 time_of_day(i64* seconds_and_microseconds, void*) {
  const TimeSpec now = TimeSpec::of(monotonic_now() + wall_clock_offset());
  seconds_and_microseconds[0] = now.seconds;
  seconds_and_microseconds[1] = now.nanoseconds / 1000;
  return 0;
}

// ---- limits

struct Limit {
  u64 now, most;
};

i64 limits(u64, u64 resource, const Limit* wanted, Limit* old) {
  constexpr u64 kStack = 3, kFiles = 7, kInfinity = ~u64{0};
  if (wanted != nullptr) return kPerm;
  if (old != nullptr) {
    const u64 limit = resource == kStack ? board::kThreadStackSize : resource == kFiles ? 256 : kInfinity;
    *old = {limit, limit};
  }
  return 0;
}

i64 affinity(u64, u64 size, u64* mask) {
  if (size < sizeof(u64)) return kInvalid;
  *mask = (u64{1} << ax_system.cpus) - 1;
  return sizeof(u64);
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_exit, system_call<exit_program>},
    {AX_NR_exit_group, system_call<exit_program>},
    {AX_NR_set_tid_address, system_call<process_id>},
    {AX_NR_getpid, system_call<process_id>},
    {AX_NR_gettid, system_call<process_id>},
    {AX_NR_getppid, system_call<nothing>},
    {AX_NR_getuid, system_call<nothing>},
    {AX_NR_geteuid, system_call<nothing>},
    {AX_NR_getgid, system_call<nothing>},
    {AX_NR_getegid, system_call<nothing>},
    {AX_NR_set_robust_list, system_call<nothing>},
    {AX_NR_rt_sigprocmask, system_call<nothing>},  // no service sends signals here; those that do bring their own
    {AX_NR_rt_sigaction, system_call<nothing>},
    {AX_NR_kill, system_call<signal_process>},
    {AX_NR_tkill, system_call<signal_process>},
    {AX_NR_tgkill, system_call<signal_thread>},
    {AX_NR_uname, system_call<name_system>},
    {AX_NR_clock_gettime, system_call<clock_get>},
    {AX_NR_clock_getres, system_call<clock_resolution>},
    {AX_NR_clock_nanosleep, system_call<clock_sleep>},
    {AX_NR_nanosleep, system_call<sleep_for>},
    {AX_NR_sched_yield, system_call<yield_now>},
    {AX_NR_sched_getaffinity, system_call<affinity>},
    {AX_NR_prlimit64, system_call<limits>},
    {AX_NR_gettimeofday, system_call<time_of_day>},
};

}  // namespace

constinit const ax_service basic_service{"basic", kCalls, nullptr};

}  // namespace ax::uni
