#include "hypervisor/sched/thread.hpp"

#include <arch/cpu.hpp>

#include "hypervisor/sched/cpu.hpp"
#include "platforms/platform.hpp"

namespace hv {

extern "C" void ax_thread_start();
extern "C" [[noreturn]] void ax_thread_exit() { platform::panic("a host thread returned from its entry function"); }

Thread::Thread(unsigned cpu_index, Hva stack_top, Entry entry, void* argument) : Task(Kind::Thread, cpu_index) {
  // What ax_switch_context() pops: x29, x30, x19, x20, ... of a call that "returns" to ax_thread_start.
  constexpr usize kFrameWords = 12;
  u64* frame = reinterpret_cast<u64*>(stack_top.value()) - kFrameWords;
  for (usize i = 0; i < kFrameWords; ++i) frame[i] = 0;
  frame[1] = reinterpret_cast<u64>(&ax_thread_start);
  frame[2] = reinterpret_cast<u64>(entry);
  frame[3] = reinterpret_cast<u64>(argument);
  saved_sp = reinterpret_cast<u64>(frame);
}

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
