#include "hypervisor/sched/deadline_queue.hpp"

namespace hv {

void DeadlineQueue::arm(Deadline& deadline, u64 ticks) {
  cancel(deadline);
  deadline.ticks_ = ticks;
  deadline.armed_ = true;
  Deadline** link = &head_;
  while (*link != nullptr && (*link)->ticks_ <= ticks) link = &(*link)->next_;
  deadline.next_ = *link;
  *link = &deadline;
}

void DeadlineQueue::cancel(Deadline& deadline) {
  if (!deadline.armed_) return;
  Deadline** link = &head_;
  while (*link != &deadline) link = &(*link)->next_;
  *link = deadline.next_;
  deadline.armed_ = false;
}

void DeadlineQueue::run_due(u64 now) {
  while (head_ != nullptr && head_->ticks_ <= now) {
    Deadline& due = *head_;
    head_ = due.next_;
    due.armed_ = false;
    due.callback_(due);
  }
}

}  // namespace hv
