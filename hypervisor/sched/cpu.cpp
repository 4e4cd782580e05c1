#include "hypervisor/sched/cpu.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vcpu/vcpu.hpp"

namespace hv {

using namespace drivers;

extern "C" void ax_switch_context(u64* save_sp, u64 load_sp);

u64 Cpu::now() const { return host_timer::now(); }

void Cpu::run() {
  for (;;) {
    drain_inbox();
    Task* next = run_queue_.pop();
    if (next == nullptr) {
      idle();
      continue;
    }
    running = next;
    next->state = Task::State::Running;
    next->waited += now() - next->ready_since;
    begin_slice();
    if (next->kind == Task::Kind::Thread) {
      run_thread(static_cast<Thread&>(*next));
    } else {
      static_cast<Vcpu&>(*next).run(*this);
    }
    running = nullptr;
    if (next->state == Task::State::Ready) make_ready(*next);
  }
}

void Cpu::make_ready(Task& task) {
  task.state = Task::State::Ready;
  task.ready_since = now();
  run_queue_.push(task);
}

void Cpu::notify(Task& task) {
  Cpu& target = hypervisor.cpu(task.cpu);
  if (!target.inbox_.post(task)) return;
  const u64 flags = arch::irq_save();
  if (&target == &current()) {
    reschedule = true;
  } else {
    hypervisor.interrupts().send_kick(target.index);
  }
  arch::irq_restore(flags);
}

void Cpu::drain_inbox() {
  reschedule = false;
  if (!inbox_.empty()) {
    inbox_.drain([this](Task& task) {
      if (task.state != Task::State::Blocked) return;
      make_ready(task);
    });
  }
  rounds.fetch_add(1, std::memory_order_release);
}

// A task alone on its CPU needs no slice: the timer is armed only for the sake of somebody who waits.
void Cpu::begin_slice() {
  if (run_queue_.empty()) {
    cancel(slice_);
  } else if (!slice_.armed()) {
    arm(slice_, now() + host_timer::frequency() / board::kTicksPerSecond);
  }
}

void Cpu::end_slice(Deadline& deadline) { static_cast<Slice&>(deadline).cpu.reschedule = true; }

void Cpu::idle() {
  cancel(slice_);
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
