// Spin locks: fair, interrupt-masking, ranked. Data that needs a lock lives inside it.
#pragma once

#include <arch/cpu.hpp>
#include <array>
#include <atomic>
#include <type_traits>
#include <utility>

#include "kernel/base/check.hpp"
#include "kernel/base/lock_rank.hpp"
#include "kernel/base/types.hpp"

namespace ax {

/// Who waits longest gets the lock first. Needs working exclusive accesses: on Armv8 not before the MMU is on.
class TicketLock {
 public:
  constexpr TicketLock() = default;
  TicketLock(const TicketLock&) = delete;
  TicketLock& operator=(const TicketLock&) = delete;

  void lock() {
    const u32 ticket = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != ticket) arch::cpu_relax();
  }
  bool try_lock() {
    u32 ticket = serving_.load(std::memory_order_acquire);
    return next_.compare_exchange_strong(ticket, ticket + 1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void unlock() { serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

 private:
  std::atomic<u32> next_{0};
  std::atomic<u32> serving_{0};
};

/// Debug builds remember which ranks every CPU holds and end the machine on a wrong order, before it can dead-lock.
class LockOrder {
 public:
  static void acquired(LockRank rank) {
#ifndef NDEBUG
    u32& held = held_[arch::cpu_index() % kCpus];
    AX_CHECK(held >> static_cast<u8>(rank) == 0);  // only locks of earlier ranks are held
    held |= 1u << static_cast<u8>(rank);
#else
    static_cast<void>(rank);
#endif
  }
  static void released(LockRank rank) {
#ifndef NDEBUG
    held_[arch::cpu_index() % kCpus] &= ~(1u << static_cast<u8>(rank));
#else
    static_cast<void>(rank);
#endif
  }
  /// Nothing may be held where a CPU enters a guest, sleeps or calls another CPU. Always true with NDEBUG.
  static bool nothing_held() {
#ifndef NDEBUG
    return held_[arch::cpu_index() % kCpus] == 0;
#else
    return true;
#endif
  }

 private:
#ifndef NDEBUG
  static constexpr usize kCpus = 64;
  static inline constinit std::array<u32, kCpus> held_{};  // each element is touched by its CPU alone, interrupts masked
#endif
};

/// A `T` that can only be reached while its lock is held. Interrupts of this CPU are masked meanwhile, so a lock may also be
/// taken by interrupt handlers, and a holder is never preempted.
template <class T, LockRank Rank>
class Locked {
 public:
  template <class... Args>
  constexpr explicit Locked(Args&&... args) : value_(std::forward<Args>(args)...) {}
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  class [[nodiscard]] Guard {
   public:
    explicit Guard(Locked& owner) : owner_(owner), interrupts_(arch::irq_save()) {
      LockOrder::acquired(Rank);
      owner_.lock_.lock();
    }
    ~Guard() {
      owner_.lock_.unlock();
      LockOrder::released(Rank);
      arch::irq_restore(interrupts_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    T& operator*() const { return owner_.value_; }
    T* operator->() const { return &owner_.value_; }

   private:
    Locked& owner_;
    u64 interrupts_;
  };

  /// A Guard that does not touch the interrupt mask.
  class [[nodiscard]] MaskedGuard {
   public:
    explicit MaskedGuard(Locked& owner) : owner_(owner) {
      AX_DEBUG_CHECK(!arch::irq_enabled());
      LockOrder::acquired(Rank);
      owner_.lock_.lock();
    }
    ~MaskedGuard() {
      owner_.lock_.unlock();
      LockOrder::released(Rank);
    }
    MaskedGuard(const MaskedGuard&) = delete;
    MaskedGuard& operator=(const MaskedGuard&) = delete;

    T& operator*() const { return owner_.value_; }
    T* operator->() const { return &owner_.value_; }

   private:
    Locked& owner_;
  };

  /// Waits for the lock. Any context; the guard is released on the CPU that took it.
  Guard lock() { return Guard(*this); }
  /// The same, and cheaper, where this CPU's interrupts are masked already and stay so.
  MaskedGuard lock_masked() { return MaskedGuard(*this); }

  /// Runs `action(T&)` under the lock and returns what it returns.
  template <class Action>
  decltype(auto) with(Action&& action) {
    const Guard guard = lock();
    return std::forward<Action>(action)(*guard);
  }

  /// The data without the lock: only while no other CPU can run (early boot) or can go on running (panic).
  T& without_lock() { return value_; }
  const T& without_lock() const { return value_; }

 private:
  TicketLock lock_;
  T value_;
};

}  // namespace ax
