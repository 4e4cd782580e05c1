// How CPUs tell each other that a task wants attention, wherever the task is by now.
//
// A task is on one CPU at a time, and only that CPU moves it elsewhere. So a notification may arrive where the task has been:
// whoever finds it there passes it on.
#pragma once

#include <atomic>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// What lies in an inbox. `Atomic` is std::atomic, or what a test watches.
template <template <class> class Atomic>
struct BasicLetter {
  explicit BasicLetter(unsigned cpu_index) : cpu(cpu_index) {}

  Atomic<unsigned> cpu;               ///< index of the physical CPU it is on; changed by that CPU only
  Atomic<bool> notified{false};       ///< it is in some CPU's inbox
  BasicLetter* inbox_next = nullptr;  ///< owned by the inbox while `notified`
};

/// Where other CPUs leave tasks that want attention: many producers, one consumer, no lock.
template <template <class> class Atomic>
class BasicInbox {
 public:
  using Letter = BasicLetter<Atomic>;

  /// Returns false if the task was in an inbox already: whoever put it there has told the CPU. What the caller wrote before
  /// is seen by whoever handles the task.
  bool post(Letter& letter) {
    if (letter.notified.exchange(true, std::memory_order_acq_rel)) return false;
    Letter* head = head_.load(std::memory_order_relaxed);
    do {
      letter.inbox_next = head;
    } while (!head_.compare_exchange_weak(head, &letter, std::memory_order_release, std::memory_order_relaxed));
    return true;
  }

  bool empty() const { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Calls `handle(letter)` for every task in it. A task may be posted again as soon as its call begins.
  template <class Handle>
  void drain(Handle handle) {
    Letter* letter = head_.exchange(nullptr, std::memory_order_acquire);
    while (letter != nullptr) {
      Letter* next = letter->inbox_next;
      // An exchange: who found it notified until now has written what is to be handled, and that must be read here.
      letter->notified.exchange(false, std::memory_order_acq_rel);
      handle(*letter);
      letter = next;
    }
  }

 private:
  Atomic<Letter*> head_{nullptr};
};

template <class T>
using StdAtomic = std::atomic<T>;
using Letter = BasicLetter<StdAtomic>;
using Inbox = BasicInbox<StdAtomic>;

}  // namespace hv
