#include "unikernel/thread/scheduler.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <new>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/system.h"
#include "unikernel/memory/program_memory.hpp"

namespace ax::uni {
namespace {

/// How long a thread runs while others are ready.
constexpr u64 kSlice = 5'000'000;

}  // namespace

/// The lock, interrupts masked. Who is switched to holds it on behalf of who switched.
class Scheduler::Guard {
 public:
  explicit Guard(Scheduler& owner) : owner_(owner), interrupts_(arch::irq_save()) { owner_.lock_.lock(); }
  ~Guard() {
    owner_.lock_.unlock();
    owner_.after_switch();
    arch::irq_restore(interrupts_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Scheduler& owner_;
  u64 interrupts_;
};

// ---- CPUs --------------------------------------------------------------------------------------------------------------

Scheduler::Cpu& Scheduler::this_cpu() { return percpu::program<Cpu>(); }

Thread& Scheduler::current() {
  const u64 interrupts = arch::irq_save();
  Thread& thread = *this_cpu().current;
  arch::irq_restore(interrupts);
  return thread;
}

Scheduler::Scheduler() {
  const unsigned present = static_cast<unsigned>(platform::machine().cpus.size());
  const unsigned wanted = std::min(ax_system.cpus, static_cast<unsigned>(cpus_.size()));
  cpu_count_ = std::min(wanted, present);
  for (unsigned i = 0; i < cpus_.size(); ++i) {
    cpus_[i].index = i;
    cpus_[i].idle.idle = true;
    cpus_[i].current = &cpus_[i].idle;
  }
  percpu::this_cpu().program = &cpus_[0];
  first_.id = next_id_++;
  all_.push_back(first_);
  cpus_[0].current = &first_;
  // The boot CPU's own stack is in use: this is called on it.
  const Result<Hva> stack = platform::allocate_stack(platform::kCpuStackSize);
  if (!stack) stop_program("there is not enough memory for a stack");
  cpus_[0].idle.context = make_context(stack->value(), &begin_idle, this);
  for (unsigned i = 1; i < cpu_count_; ++i) {
    const Result<void> started = platform::start_cpu(i);
    if (!started) log::warn("CPU {} does not start: {}", i, started.error());
  }
}

void Scheduler::run_cpu(unsigned index) {
  Cpu& cpu = cpus_[index];
  percpu::this_cpu().program = &cpu;
  const Result<void> ready = init_cpu_interrupts(index);
  if (!ready) {
    log::warn("CPU {} has no interrupts: {}", index, ready.error());
    arch::halt();
  }
  idle();
}

/// The boot CPU's idle context, with the lock of who switched to it.
void Scheduler::begin_idle(void* scheduler) {
  Scheduler& self = *static_cast<Scheduler*>(scheduler);
  self.lock_.unlock();
  self.after_switch();
  self.idle();
}

/// Runs what is ready, else sleeps. Interrupts masked.
void Scheduler::idle() {
  for (;;) {
    {
      Guard guard(*this);
      if (!ready_.empty()) {
        switch_away();
        continue;
      }
      this_cpu().waits = true;
      set_timer(this_cpu());
    }
    // Masked: what comes between the look and the sleep ends the sleep.
    arch::wait_for_interrupt();
    arch::irq_enable();
    arch::irq_disable();
    __atomic_store_n(&this_cpu().waits, false, __ATOMIC_RELAXED);
  }
}

void Scheduler::set_timer(const Cpu& cpu) {
  u64 deadline = sleepers_.empty() ? kNever : sleepers_.front()->deadline;
  if (!cpu.current->idle) {
    const u64 now = monotonic_now(), signal = next_signal_interrupt();
    if (!ready_.empty()) deadline = std::min(deadline, now + kSlice);
    if (signal > now) deadline = std::min(deadline, signal);  // else it is on its way
  }
  if (deadline == kNever) return drivers::host_timer::cancel_deadline();
  drivers::host_timer::set_deadline(ticks_at(deadline));
}

// ---- switching ---------------------------------------------------------------------------------------------------------

/// Lets the next ready thread run, or nothing. The caller has put the current thread where it belongs. The lock is held, and
/// is held when it returns, possibly on another CPU.
void Scheduler::switch_away() {
  Cpu& cpu = this_cpu();
  Thread* from = cpu.current;
  Thread* to = ready_.pop_front();
  if (to == nullptr) to = &cpu.idle;
  cpu.must_switch = false;
  if (to == from) return;
  cpu.current = to;
  cpu.waits = false;
  set_timer(cpu);
  if (!from->idle) from->thread_pointer = thread_pointer();
  if (!to->idle) set_thread_pointer(to->thread_pointer);
  ax_switch_context(&from->context, to->context);
}

/// After the lock was released: what a thread that has ended on this CPU leaves behind. Interrupts masked.
void Scheduler::after_switch() {
  Cpu& cpu = this_cpu();
  Thread* left = std::exchange(cpu.left, nullptr);
  if (left == nullptr || left == cpu.current) {
    cpu.left = left;
    return;
  }
  if (!left->stack_to_unmap.empty()) static_cast<void>(program_memory().lock()->unmap(left->stack_to_unmap));
  if (i32* word = left->clear_at_exit) {
    __atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
    futex_wake(reinterpret_cast<u32*>(word), 1, ~u32{0});
  }
  lock_.lock();
  left->clear_at_exit = nullptr;
  left->context = unused_;
  unused_ = left;
  lock_.unlock();
}

void Scheduler::make_ready(Thread& thread) {
  ready_.push_back(thread);
  for (unsigned i = 0; i < cpu_count_; ++i) {
    Cpu& cpu = cpus_[i];
    if (!cpu.waits) continue;
    cpu.waits = false;
    if (&cpu != &this_cpu()) kick_cpu(i);
    return;
  }
  set_timer(this_cpu());
}

void Scheduler::wait(Thread& thread, u64 deadline) {
  thread.deadline = deadline;
  if (deadline != kNever) {
    Thread* after = nullptr;
    for (Thread& other : sleepers_) {
      if (other.deadline <= deadline) continue;
      after = &other;
      break;
    }
    after != nullptr ? sleepers_.insert_before(*after, thread) : sleepers_.push_back(thread);
  }
  switch_away();
}

void Scheduler::wake(Thread& thread, i64 result) {
  if (thread.sleeper.linked()) Sleepers::remove(thread);
  if (thread.queue.linked()) Queue::remove(thread);
  thread.futex = 0;
  thread.wait_result = result;
  make_ready(thread);
}

void Scheduler::wake_sleepers() {
  const u64 now = monotonic_now();
  while (Thread* first = sleepers_.front()) {
    if (first->deadline > now) return;
    wake(*first, first->futex != 0 ? i64{kTimedOut} : 0);
  }
}

/// A signal is due: whoever computes takes it when the interrupt ends, on whichever CPU.
void Scheduler::interrupt_for_signal() {
  if (next_signal_interrupt() > monotonic_now()) return;
  for (unsigned i = 0; i < cpu_count_; ++i) {
    if (&cpus_[i] != &this_cpu() && !cpus_[i].current->idle) kick_cpu(i);
  }
}

void Scheduler::set_own_timer() {
  Guard guard(*this);
  set_timer(this_cpu());
}

void Scheduler::interrupt() {
  static constinit Scheduler* self = nullptr;
  self = this;
  take_interrupts([] {
    self->lock_.lock();
    self->wake_sleepers();
    self->interrupt_for_signal();
    Cpu& cpu = this_cpu();
    cpu.must_switch = !self->ready_.empty() && !cpu.current->idle;
    cpu.waits = false;
    self->set_timer(cpu);
    self->lock_.unlock();
  });
  if (!this_cpu().must_switch) return;
  ax_with_vectors_saved([] {
    Guard guard(*self);
    Cpu& cpu = this_cpu();
    if (!cpu.must_switch || cpu.current->idle) return;
    self->ready_.push_back(*cpu.current);
    self->switch_away();
  });
}

// ---- threads -----------------------------------------------------------------------------------------------------------

Thread* Scheduler::allocate() {
  if (unused_ == nullptr) {
    const auto frame = platform::frames().lock()->allocate(kPageSize, mm::Owner::host());
    if (!frame) return nullptr;
    for (u64 at = 0; at + sizeof(Thread) <= frame->size; at += sizeof(Thread)) {
      Thread* thread = ::new (reinterpret_cast<void*>(frame->base.value() + at)) Thread;
      thread->context = unused_;
      unused_ = thread;
    }
  }
  Thread* thread = unused_;
  unused_ = static_cast<Thread*>(thread->context);
  thread->~Thread();
  return ::new (thread) Thread;
}

Result<Thread*> Scheduler::create(int (*function)(void*), void* argument, u64 stack, u64 thread_pointer) {
  Guard guard(*this);
  Thread* thread = allocate();
  if (thread == nullptr) return fail(Error::OutOfMemory);
  thread->id = next_id_++;
  thread->function = function;
  thread->argument = argument;
  thread->thread_pointer = thread_pointer;
  thread->context = make_context(stack, &begin, this);
  thread->signals.mask = this_cpu().current->signals.mask;
  all_.push_back(*thread);
  ++alive_;
  return thread;
}

void Scheduler::start(Thread& thread) {
  Guard guard(*this);
  make_ready(thread);
}

/// The first code of a thread, with the lock of who switched to it.
void Scheduler::begin(void* scheduler) {
  Scheduler& self = *static_cast<Scheduler*>(scheduler);
  self.lock_.unlock();
  self.after_switch();
  Thread& thread = *this_cpu().current;
  arch::irq_enable();
  const int status = thread.function(thread.argument);
  self.exit(static_cast<unsigned>(status));
}

void Scheduler::exit(unsigned status) {
  arch::irq_disable();
  lock_.lock();
  if (--alive_ == 0) {
    lock_.unlock();
    end_program(status);
  }
  Cpu& cpu = this_cpu();
  cpu.left = cpu.current;
  All::remove(*cpu.left);
  switch_away();
  __builtin_unreachable();
}

void Scheduler::yield() {
  Guard guard(*this);
  if (ready_.empty()) return;
  ready_.push_back(*this_cpu().current);
  switch_away();
}

void Scheduler::sleep_until(u64 deadline) {
  if (deadline <= monotonic_now()) return;
  Guard guard(*this);
  wait(*this_cpu().current, deadline);
}

ThreadSignals* Scheduler::signals_of(u32 id) {
  Guard guard(*this);
  if (id == 0) return &this_cpu().current->signals;
  for (Thread& thread : all_) {
    if (thread.id == id) return &thread.signals;
  }
  return nullptr;
}

void Scheduler::interrupt_thread(u32 id, u64 signal) {
  Guard guard(*this);
  for (Thread& thread : all_) {
    const bool waits = thread.futex != 0 || thread.sleeper.linked();
    if ((id != 0 && thread.id != id) || (thread.signals.mask & signal) != 0 || !waits) continue;
    return wake(thread, kInterrupted);
  }
  for (unsigned i = 0; i < cpu_count_; ++i) {
    const Thread& thread = *cpus_[i].current;
    if (&cpus_[i] == &this_cpu() || thread.idle || (id != 0 && thread.id != id) || (thread.signals.mask & signal) != 0) continue;
    return kick_cpu(i);
  }
}

// ---- futexes -----------------------------------------------------------------------------------------------------------

i64 Scheduler::futex_wait(const u32* address, u32 value, u64 deadline, u32 bits) {
  Guard guard(*this);
  if (__atomic_load_n(address, __ATOMIC_SEQ_CST) != value) return kAgain;
  if (deadline <= monotonic_now()) return kTimedOut;
  Thread& thread = *this_cpu().current;
  thread.futex = reinterpret_cast<u64>(address);
  thread.futex_bits = bits;
  bucket(address).push_back(thread);
  wait(thread, deadline);
  return thread.wait_result;
}

i64 Scheduler::futex_wake(const u32* address, u64 count, u32 bits) {
  Guard guard(*this);
  i64 woken = 0;
  Queue& waiters = bucket(address);
  for (auto it = waiters.begin(); it != waiters.end() && static_cast<u64>(woken) < count;) {
    Thread& thread = *it;
    ++it;
    if (thread.futex != reinterpret_cast<u64>(address) || (thread.futex_bits & bits) == 0) continue;
    wake(thread, 0);
    ++woken;
  }
  return woken;
}

i64 Scheduler::futex_requeue(const u32* address, u64 wake_count, u64 move_count, const u32* target, const u32* expected) {
  Guard guard(*this);
  if (expected != nullptr && __atomic_load_n(address, __ATOMIC_SEQ_CST) != *expected) return kAgain;
  u64 woken = 0, moved = 0;
  Queue& waiters = bucket(address);
  for (auto it = waiters.begin(); it != waiters.end() && woken + moved < wake_count + move_count;) {
    Thread& thread = *it;
    ++it;
    if (thread.futex != reinterpret_cast<u64>(address)) continue;
    if (woken < wake_count) {
      wake(thread, 0);
      ++woken;
      continue;
    }
    Queue::remove(thread);
    thread.futex = reinterpret_cast<u64>(target);
    bucket(target).push_back(thread);
    ++moved;
  }
  return static_cast<i64>(woken + moved);
}

}  // namespace ax::uni
