#include "hypervisor/sched/thread.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "hypervisor/sched/cpu.hpp"
#include "platforms/platform.hpp"

namespace hv {

extern "C" u64 ax_prepare_context(u64 stack_top, Thread::Entry entry, void* argument);
extern "C" [[noreturn]] void ax_thread_exit() { platform::panic("a host thread returned from its entry function"); }

namespace {

Scheduling scheduling_on(unsigned cpu) {
  constexpr u64 kPeriodsPerSecond = 100;
  const u64 period = drivers::host_timer::frequency() / kPeriodsPerSecond;
  return {.priority = kThreadPriority, .slice = period, .budget = period / 2, .period = period, .cpus = u64{1} << cpu};
}

}  // namespace

Thread::Thread(unsigned cpu_index, Hva stack_top, Entry entry, void* argument)
    : Task(Kind::Thread, cpu_index, scheduling_on(cpu_index)), saved_sp(ax_prepare_context(stack_top.value(), entry, argument)) {}

void Event::signal() {
  const u64 flags = arch::irq_save();
  set_.store(true, std::memory_order_release);
  Cpu::current().notify(waiter_);
  arch::irq_restore(flags);
}

void Event::wait() {
  const u64 flags = arch::irq_save();
  // A signal between the check and the switch leaves a notification in the inbox, which makes the thread ready again.
  while (!set_.exchange(false, std::memory_order_acquire)) Cpu::current().leave_thread(Task::State::Blocked);
  arch::irq_restore(flags);
}

}  // namespace hv
