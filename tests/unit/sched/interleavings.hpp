// Runs a few threads of execution in every order in which their atomic accesses can follow each other, with a bounded number
// of preemptions: most mistakes need one or two. Memory is sequentially consistent.
#pragma once

#include <ucontext.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace hv::interleaving {

class Explorer {
 public:
  explicit Explorer(unsigned preemptions) : bound_(preemptions) {}

  /// Adds a thread to the execution that is being prepared.
  void thread(std::function<void()> body) { fibers_.push_back(std::make_unique<Fiber>(std::move(body))); }

  /// Calls `prepare()`, which adds the threads, runs them, then calls `check()`: once for each order. Returns how many there are.
  unsigned long explore(const std::function<void()>& prepare, const std::function<void()>& check) {
    unsigned long orders = 0;
    do {
      fibers_.clear();
      prepare();
      run();
      check();
      ++orders;
    } while (next_order());
    return orders;
  }

  /// Called by the threads. Another thread may go on here.
  static void step() {
    if (active_ != nullptr) swapcontext(&active_->running_->context, &active_->scheduler_);
  }
  /// The thread goes on when `condition()` holds; if it never does, it ends there.
  static void wait(std::function<bool()> condition) {
    active_->running_->waits_for = std::move(condition);
    step();
  }

 private:
  struct Fiber {
    explicit Fiber(std::function<void()> b) : body(std::move(b)), stack(64 * 1024) {}
    std::function<void()> body;
    std::vector<char> stack;
    ucontext_t context{};
    std::function<bool()> waits_for;
    bool done = false;
    bool can_run() const { return !done && (!waits_for || waits_for()); }
  };
  struct Choice {
    unsigned taken;
    unsigned of;
  };

  static void enter() {
    active_->running_->body();
    active_->running_->done = true;
    swapcontext(&active_->running_->context, &active_->scheduler_);
  }

  void run() {
    depth_ = 0;
    unsigned preemptions = 0;
    active_ = this;
    for (auto& fiber : fibers_) {
      getcontext(&fiber->context);
      fiber->context.uc_stack = {.ss_sp = fiber->stack.data(), .ss_flags = 0, .ss_size = fiber->stack.size()};
      fiber->context.uc_link = nullptr;
      makecontext(&fiber->context, &Explorer::enter, 0);
    }
    running_ = nullptr;
    for (;;) {
      std::vector<Fiber*> options;
      const bool goes_on = running_ != nullptr && running_->can_run();
      if (goes_on) options.push_back(running_);
      if (!goes_on || preemptions < bound_)
        for (auto& fiber : fibers_)
          if (fiber.get() != running_ && fiber->can_run()) options.push_back(fiber.get());
      if (options.empty()) break;
      const unsigned taken = choose(static_cast<unsigned>(options.size()));
      if (goes_on && taken != 0) ++preemptions;
      running_ = options[taken];
      running_->waits_for = nullptr;
      swapcontext(&scheduler_, &running_->context);
    }
    active_ = nullptr;
  }

  unsigned choose(unsigned of) {
    if (depth_ == order_.size()) order_.push_back({0, of});
    return order_[depth_++].taken;
  }

  bool next_order() {
    while (!order_.empty() && order_.back().taken + 1 == order_.back().of) order_.pop_back();
    if (order_.empty()) return false;
    ++order_.back().taken;
    return true;
  }

  static inline Explorer* active_ = nullptr;
  unsigned bound_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* running_ = nullptr;
  ucontext_t scheduler_{};
  std::vector<Choice> order_;
  usize depth_ = 0;
};

/// Stands in for std::atomic: each access is a step.
template <class T>
class Atomic {
 public:
  Atomic() = default;
  Atomic(T value) : value_(value) {}

  T load(std::memory_order = std::memory_order_seq_cst) const { return Explorer::step(), value_; }
  void store(T value, std::memory_order = std::memory_order_seq_cst) { Explorer::step(), value_ = value; }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) { return Explorer::step(), std::exchange(value_, value); }
  T fetch_or(T bits) { return Explorer::step(), std::exchange(value_, value_ | bits); }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order, std::memory_order) {
    Explorer::step();
    const bool equal = value_ == expected;
    (equal ? value_ : expected) = equal ? desired : value_;
    return equal;
  }
  /// Without a step, for what watches.
  T peek() const { return value_; }

 private:
  T value_{};
};

}  // namespace hv::interleaving
