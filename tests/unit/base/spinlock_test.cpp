#include "kernel/base/spinlock.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ax {
namespace {

TEST(Locked, ExcludesOtherCpus) {
  struct Pair {
    u64 a = 0;
    u64 b = 0;
  };
  Locked<Pair, LockRank::HostPageTable> pair;
  constexpr unsigned kThreads = 4;
  constexpr u64 kRounds = 20000;
  std::vector<std::thread> cpus;
  std::atomic<unsigned> torn = 0;
  for (unsigned cpu = 0; cpu < kThreads; ++cpu) {
    cpus.emplace_back([&, cpu] {
      arch::fake::current_cpu = cpu;
      for (u64 i = 0; i < kRounds; ++i) {
        const auto guard = pair.lock();
        if (guard->a != guard->b) ++torn;
        ++guard->a;
        ++guard->b;
      }
    });
  }
  for (std::thread& cpu : cpus) cpu.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(pair.without_lock().a, kThreads * kRounds);
}

TEST(Locked, MasksInterruptsAndRestoresWhatWas) {
  Locked<int, LockRank::HostPageTable> outer(0);
  Locked<int, LockRank::Frames> inner(0);
  arch::irq_enable();
  {
    const auto a = outer.lock();
    EXPECT_FALSE(arch::irq_enabled());
    { const auto b = inner.lock(); }
    EXPECT_FALSE(arch::irq_enabled()) << "the outer lock is still held";
  }
  EXPECT_TRUE(arch::irq_enabled());
}

TEST(Locked, WithReturnsWhatTheActionReturns) {
  Locked<int, LockRank::HostPageTable> number(41);
  EXPECT_EQ(number.with([](int& n) { return ++n; }), 42);
}

TEST(TicketLock, TryLockFailsOnlyWhileItIsHeld) {
  TicketLock lock;
  EXPECT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
  EXPECT_TRUE(lock.try_lock());
}

TEST(LockOrder, AllowsLaterRanksOnly) {
  Locked<int, LockRank::VirtualDevice> vm(0);
  Locked<int, LockRank::Frames> frames(0);
  {
    const auto a = vm.lock();
    const auto b = frames.lock();
    EXPECT_FALSE(LockOrder::nothing_held());
  }
  EXPECT_TRUE(LockOrder::nothing_held());
  const auto take_earlier_rank = [&] {
    const auto b = frames.lock();
    const auto a = vm.lock();
  };
  EXPECT_DEATH(take_earlier_rank(), "check failed: held");
  const auto take_same_rank = [&] {
    Locked<int, LockRank::VirtualDevice> other(0);
    const auto a = vm.lock();
    const auto b = other.lock();
  };
  EXPECT_DEATH(take_same_rank(), "check failed: held");
}

TEST(LockOrder, IsKeptPerCpu) {
  Locked<int, LockRank::Frames> frames(0);
  Locked<int, LockRank::VirtualDevice> vm(0);
  const auto held = frames.lock();
  std::thread([&] {
    arch::fake::current_cpu = 1;
    const auto fine = vm.lock();
    EXPECT_FALSE(LockOrder::nothing_held());
  }).join();
}

TEST(Check, HandsTheConditionAndPlaceToThePanicHook) {
  EXPECT_DEATH(
      {
        set_panic_hook([](const char* message) {
          std::fputs(message, stderr);
          std::abort();
        });
        AX_CHECK(1 + 1 == 3);
      },
      "check failed: 1 \\+ 1 == 3 \\(.*spinlock_test.cpp:[0-9]+\\)");
}

}  // namespace
}  // namespace ax
