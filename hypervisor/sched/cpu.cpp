#include "hypervisor/sched/cpu.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vcpu/vcpu.hpp"

namespace hv {

using namespace drivers;

extern "C" void ax_switch_context(u64* save_sp, u64 load_sp);

u64 Cpu::now() const { return host_timer::now(); }

void Cpu::run() {
  for (u64 time = now();;) {
    drain_inbox(time);
    share_load(time);
    Task* task = scheduler_.pick(time);
    set_next_event();
    if (task == nullptr) {
      idle();
      time = now();
      continue;
    }
    running = task;
    if (task->kind == Task::Kind::Thread) {
      run_thread(static_cast<Thread&>(*task));
    } else {
      static_cast<Vcpu&>(*task).run(*this);
    }
    running = nullptr;
    time = now();
    scheduler_.stop(*task, time);
  }
}

// ---- notifications ----------------------------------------------------------------------------------------------------

void Cpu::notify(Task& task) {
  Cpu& target = hypervisor.cpu(task.cpu.load(std::memory_order_acquire));
  if (!target.inbox_.post(task)) return;
  const u64 flags = arch::irq_save();
  if (&target == &current()) {
    reschedule = true;
  } else {
    kick(target.index);
  }
  arch::irq_restore(flags);
}

void Cpu::kick(unsigned cpu) { hypervisor.interrupts().send_kick(cpu); }

void Cpu::drain_inbox(u64 time) {
  reschedule = false;
  if (!inbox_.empty()) inbox_.drain([this, time](Letter& letter) { attend(static_cast<Task&>(letter), time); });
  rounds.fetch_add(1, std::memory_order_release);
}

void Cpu::attend(Task& task, u64 time) {
  // It has moved on since it was posted.
  if (task.cpu.load(std::memory_order_relaxed) != index) return notify(task);
  if (task.kind == Task::Kind::Thread) {
    if (task.state == Task::State::Blocked) scheduler_.add(task, time);
    return;
  }
  auto& vcpu = static_cast<Vcpu&>(task);
  if (task.moving) vcpu.arch.resume_timers();
  if (task.state == Task::State::Blocked && (task.moving || vcpu.can_wake())) scheduler_.add(task, time);
  if (task.state == Task::State::Ready && vcpu.must_give_up()) scheduler_.hasten(task);
}

// ---- other CPUs -------------------------------------------------------------------------------------------------------

void Cpu::share_load(u64 time) {
  const auto move = scheduler_.offload(hypervisor.cpu_count(), time);
  if (!move) return;
  auto& vcpu = static_cast<Vcpu&>(*move->task);
  if (loaded == &vcpu) vcpu.put(*this);
  vcpu.arch.suspend_timers();
  // From here on it belongs to the other CPU.
  vcpu.cpu.store(move->cpu, std::memory_order_release);
  notify(vcpu);
}

// ---- time -------------------------------------------------------------------------------------------------------------

// Nothing is armed for a task that is alone on its CPU.
void Cpu::set_next_event() {
  const u64 next = scheduler_.next_event();
  if (next == Scheduler::kNever) {
    cancel(next_event_);
  } else if (!next_event_.armed() || next_event_.ticks() != next) {
    arm(next_event_, next);
  }
}

void Cpu::look_again(Deadline& deadline) { static_cast<NextEvent&>(deadline).cpu.reschedule = true; }

// Whoever has a task for this CPU sends it when asked.
void Cpu::idle() {
  const unsigned other = board_.find_offer(index, hypervisor.cpu_count());
  if (other < hypervisor.cpu_count()) kick(other);
  if (reschedule) return;
  arch::wait_for_interrupt();
  handle_interrupts();
}

void Cpu::run_thread(Thread& thread) { ax_switch_context(&loop_sp_, thread.saved_sp); }

void Cpu::leave_thread(Task::State next) {
  auto& thread = static_cast<Thread&>(*running);
  thread.state = next;
  ax_switch_context(&thread.saved_sp, loop_sp_);
}

void Cpu::preempt_thread_if_needed() {
  if (!reschedule || running == nullptr || running->kind != Task::Kind::Thread) return;
  leave_thread(Task::State::Ready);
}

void Cpu::handle_interrupts() {
  hypervisor.interrupts().handle_pending(*this);
  if (deadlines_.next() != DeadlineQueue::kNever) {
    const u64 time = now();
    if (deadlines_.next() <= time) deadlines_.run_due(time);
  }
  program_timer();
}

void Cpu::arm(Deadline& deadline, u64 ticks) {
  deadlines_.arm(deadline, ticks);
  program_timer();
}

void Cpu::cancel(Deadline& deadline) {
  if (!deadline.armed()) return;
  deadlines_.cancel(deadline);
  program_timer();
}

void Cpu::timer_expired() {
  programmed_ = DeadlineQueue::kNever;
  host_timer::cancel_deadline();
}

void Cpu::program_timer() {
  const u64 next = deadlines_.next();
  if (next == programmed_) return;
  programmed_ = next;
  if (next == DeadlineQueue::kNever) {
    host_timer::cancel_deadline();
  } else {
    host_timer::set_deadline(next);
  }
}

}  // namespace hv
