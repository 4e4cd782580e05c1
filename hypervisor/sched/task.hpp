// What a CPU runs: a virtual CPU or a host thread.
#pragma once

#include <atomic>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The part of a vCPU or host thread that scheduling needs. `state` and `queue_next` belong to the task's own CPU and are
/// touched by nobody else; others post a notification (see Cpu::notify).
struct Task {
  enum class Kind : u8 { Vcpu, Thread };
  enum class State : u8 {
    Blocked,  ///< waits for a notification
    Ready,    ///< in its CPU's run queue
    Running,
  };

  Task(Kind k, unsigned cpu_index) : kind(k), cpu(cpu_index) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  const Kind kind;
  State state = State::Blocked;
  const unsigned cpu;  ///< index of the physical CPU it runs on
  Task* queue_next = nullptr;
  u64 ready_since = 0;  ///< while Ready: host timer ticks
  u64 waited = 0;       ///< ticks for which it could have run and another task did

  std::atomic<bool> notified{false};  ///< it is in its CPU's inbox
  Task* inbox_next = nullptr;         ///< owned by the inbox while `notified`
};

/// First in, first out; links through Task::queue_next.
class RunQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  void push(Task& task) {
    task.queue_next = nullptr;
    (head_ == nullptr ? head_ : tail_->queue_next) = &task;
    tail_ = &task;
  }
  Task* pop() {
    Task* task = head_;
    if (task != nullptr) head_ = task->queue_next;
    return task;
  }

 private:
  Task* head_ = nullptr;
  Task* tail_ = nullptr;
};

/// Where other CPUs leave tasks that want attention: many producers, one consumer, no lock.
class Inbox {
 public:
  /// Returns false if the task was there already: whoever put it there has told the CPU.
  bool post(Task& task) {
    if (task.notified.exchange(true, std::memory_order_acq_rel)) return false;
    Task* head = head_.load(std::memory_order_relaxed);
    do {
      task.inbox_next = head;
    } while (!head_.compare_exchange_weak(head, &task, std::memory_order_release, std::memory_order_relaxed));
    return true;
  }

  bool empty() const { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Calls `handle(task)` for every task in it. A task may be posted again as soon as its call begins.
  template <class Handle>
  void drain(Handle handle) {
    Task* task = head_.exchange(nullptr, std::memory_order_acquire);
    while (task != nullptr) {
      Task* next = task->inbox_next;
      task->notified.store(false, std::memory_order_release);
      handle(*task);
      task = next;
    }
  }

 private:
  std::atomic<Task*> head_{nullptr};
};

}  // namespace hv
