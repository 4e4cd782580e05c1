#include "hypervisor/sched/scheduler.hpp"

#include <algorithm>
#include <bit>

namespace hv {
namespace {

// ---- budgets ----------------------------------------------------------------------------------------------------------

/// Begins the period that `now` lies in, unless it has begun. What a vCPU was overrun by is owed, what was left is lost.
void begin_period(Task& task, u64 now) {
  const Scheduling& how = task.scheduling;
  if (task.period_end == 0) {
    task.period_end = now + how.period;
  } else if (now >= task.period_end) {
    task.period_end += ((now - task.period_end) / how.period + 1) * how.period;
  } else {
    return;
  }
  const i64 owed = task.kind == Task::Kind::Vcpu ? std::min<i64>(task.budget_left, 0) : 0;
  task.budget_left = static_cast<i64>(how.budget) + owed;
}

/// It ran from `start`, when its period had begun, to `end`, maybe into the next one.
void charge_budget(Task& task, u64 start, u64 end) {
  if (end >= task.period_end) {
    task.budget_left -= static_cast<i64>(task.period_end - start);
    begin_period(task, end);
    start = std::max(start, task.period_end - task.scheduling.period);
  }
  task.budget_left -= static_cast<i64>(end - start);
}

/// A new slice; what the one before was overrun by is owed, unless the task was alone for long.
void begin_slice(Task& task) {
  const auto slice = static_cast<i64>(task.scheduling.slice);
  task.slice_left = task.slice_left + slice > 0 ? task.slice_left + slice : slice;
}

}  // namespace

// ---- queues -----------------------------------------------------------------------------------------------------------

void Scheduler::Queue::push_back(Task& task) {
  task.queue_next = nullptr;
  (head == nullptr ? head : tail->queue_next) = &task;
  tail = &task;
}

void Scheduler::Queue::push_front(Task& task) {
  task.queue_next = head;
  if (head == nullptr) tail = &task;
  head = &task;
}

void Scheduler::Queue::remove(Task& task) {
  Task* before = nullptr;
  for (Task* t = head; t != &task; t = t->queue_next) before = t;
  (before == nullptr ? head : before->queue_next) = task.queue_next;
  if (tail == &task) tail = before;
}

void Scheduler::enqueue(Task& task, bool in_front) {
  in_front ? ready_[task.level].push_front(task) : ready_[task.level].push_back(task);
  levels_ |= 1u << task.level;
}

void Scheduler::dequeue(Task& task) {
  ready_[task.level].remove(task);
  if (ready_[task.level].head == nullptr) levels_ &= ~(1u << task.level);
}

// ---- the life of a turn -----------------------------------------------------------------------------------------------

void Scheduler::add(Task& task, u64 now) {
  if (!task.moving) board_.add(cpu_, task.scheduling.priority);
  if (!task.moving) task.ready_since = now;  // on its way it has been waiting, too
  task.moving = false;
  task.state = Task::State::Ready;
  task.on_cpu_since = now;
  task.level = task.scheduling.priority;
  task.slice_left = static_cast<i64>(task.scheduling.slice);
  if (has_budget(task)) begin_period(task, now);
  has_budget(task) && task.budget_left <= 0 ? exhaust(task) : enqueue(task, false);
}

void Scheduler::hasten(Task& task) {
  if (task.exhausted) {
    exhausted_.remove(task);
    task.exhausted = false;
    board_.add(cpu_, task.scheduling.priority);
  } else {
    dequeue(task);
  }
  task.level = kThreadPriority;
  enqueue(task, true);
}

void Scheduler::exhaust(Task& task) {
  task.exhausted = true;
  exhausted_.push_back(task);
  board_.remove(cpu_, task.scheduling.priority);
}

void Scheduler::release_exhausted(u64 now) {
  for (Task* task = exhausted_.head; task != nullptr;) {
    Task* next = task->queue_next;
    if (now >= task->period_end) {
      begin_period(*task, now);
      if (task->budget_left > 0) {
        exhausted_.remove(*task);
        task->exhausted = false;
        board_.add(cpu_, task->scheduling.priority);
        enqueue(*task, false);
      }
    }
    task = next;
  }
}

Task* Scheduler::most_urgent() {
  if (levels_ != 0) return ready_[std::bit_width(levels_) - 1].head;
  Task* task = exhausted_.head;
  while (task != nullptr && task->kind != Task::Kind::Thread) task = task->queue_next;
  return task;
}

Task* Scheduler::pick(u64 now) {
  if (exhausted_.head != nullptr) release_exhausted(now);
  Task* task = most_urgent();
  running_ = task;
  started_ = now;
  if (task == nullptr) return nullptr;
  if (task->exhausted) {
    exhausted_.remove(*task);
    task->exhausted = false;
    board_.add(cpu_, task->scheduling.priority);
  } else {
    dequeue(*task);
  }
  if (has_budget(*task)) begin_period(*task, now);
  task->state = Task::State::Running;
  // Another CPU's clock may be a little ahead.
  if (now > task->ready_since) task->waited += now - task->ready_since;
  return task;
}

void Scheduler::stop(Task& task, u64 now) {
  running_ = nullptr;
  const u64 ran = now - started_;
  task.ran += ran;
  task.slice_left -= static_cast<i64>(ran);
  if (has_budget(task)) charge_budget(task, started_, now);
  if (task.state != Task::State::Ready) return board_.remove(cpu_, task.scheduling.priority);

  task.ready_since = now;
  task.level = task.scheduling.priority;
  const bool slice_over = task.slice_left <= 0;
  if (slice_over) begin_slice(task);
  has_budget(task) && task.budget_left <= 0 ? exhaust(task) : enqueue(task, !slice_over);
}

u64 Scheduler::next_event() const {
  u64 next = kNever;
  for (const Task* task = exhausted_.head; task != nullptr; task = task->queue_next) next = std::min(next, task->period_end);
  if (running_ == nullptr) return next;
  const auto after = [this](i64 left) { return started_ + static_cast<u64>(std::max<i64>(left, 0)); };
  if (levels_ != 0) next = std::min(next, after(running_->slice_left));
  if (has_budget(*running_)) {
    // A thread beyond its budget may go on; it is its next period that makes a difference.
    next = std::min(next, running_->budget_left > 0 ? after(running_->budget_left) : running_->period_end);
  }
  return next;
}

// ---- other CPUs -------------------------------------------------------------------------------------------------------

template <class Visit>
void Scheduler::for_each_waiting(Visit visit) const {
  for (unsigned level = kLevels; level-- != 0;)
    for (Task* task = ready_[level].head; task != nullptr; task = task->queue_next)
      if (!visit(*task)) return;
}

unsigned Scheduler::better_cpu(const Task& task, unsigned cpus, u64 now) const {
  const unsigned priority = task.scheduling.priority;
  const bool waited = now - task.ready_since >= task.scheduling.slice;
  const bool its_turn =
      &task == longest_here_ && now - std::max(last_turn_, task.on_cpu_since) >= kSlicesBetweenMoves * task.scheduling.slice;
  unsigned best = cpu_;
  LoadBoard::Rivals least = board_.rivals(cpu_, priority);  // itself included
  if (its_turn) ++least.equal;
  // Round from the next one on, so that every CPU has its turn as well.
  for (unsigned cpu = (cpu_ + 1) % cpus; cpu != cpu_; cpu = (cpu + 1) % cpus) {
    if ((task.scheduling.cpus >> cpu & 1) == 0) continue;
    LoadBoard::Rivals there = board_.rivals(cpu, priority);
    if (!there.none() && !waited && !its_turn) continue;
    ++there.equal;
    if (there.higher > least.higher || (there.higher == least.higher && there.equal >= least.equal)) continue;
    least = there;
    best = cpu;
  }
  return best;
}

std::optional<Scheduler::Move> Scheduler::offload(unsigned cpus, u64 now) {
  const Task* first = most_urgent();
  u64 offered = 0;
  longest_here_ = nullptr;
  for_each_waiting([&](const Task& task) {
    if (&task != first) offered |= task.scheduling.cpus;
    if (longest_here_ == nullptr || task.on_cpu_since <= longest_here_->on_cpu_since) longest_here_ = &task;
    return true;
  });
  offered &= ~(u64{1} << cpu_);
  // What is offered is said before anybody's load is read: a CPU that goes to sleep now sees the offer.
  board_.offer(cpu_, offered);
  if (offered == 0) return std::nullopt;

  std::optional<Move> move;
  for_each_waiting([&](Task& task) {
    const unsigned cpu = &task == first ? cpu_ : better_cpu(task, cpus, now);
    if (cpu != cpu_) move = {&task, cpu};
    return !move;
  });
  if (move) take_out(*move->task, move->cpu, now);
  return move;
}

void Scheduler::take_out(Task& task, unsigned cpu, u64 now) {
  const unsigned priority = task.scheduling.priority;
  if (board_.rivals(cpu, priority).equal + 1 == board_.rivals(cpu_, priority).equal) last_turn_ = now;
  dequeue(task);
  board_.remove(cpu_, priority);
  board_.add(cpu, priority);
  task.state = Task::State::Blocked;
  task.moving = true;
}

}  // namespace hv
