#include "hypervisor/sched/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/sched/simulation.hpp"

namespace hv {
namespace {

double share(const Task& task, u64 time) { return static_cast<double>(task.ran) / static_cast<double>(time); }

// ---- one CPU ----

TEST(Scheduler, RunsTheMostUrgentTask) {
  LoadBoard board;
  Scheduler scheduler(board, 0);
  Task low(Task::Kind::Vcpu, 0, {.priority = 1, .slice = 10, .cpus = 1});
  Task high(Task::Kind::Vcpu, 0, {.priority = 5, .slice = 10, .cpus = 1});
  EXPECT_EQ(scheduler.pick(0), nullptr);
  scheduler.add(low, 0);
  scheduler.add(high, 0);
  EXPECT_EQ(scheduler.pick(0), &high);
  high.state = Task::State::Blocked;
  scheduler.stop(high, 100);
  EXPECT_EQ(scheduler.pick(100), &low);
  EXPECT_EQ(low.waited, 100u);
  EXPECT_EQ(scheduler.pick(100), nullptr);
}

TEST(Scheduler, NeedsNoTickForATaskThatIsAlone) {
  Simulation machine(1);
  SimulatedTask& task = machine.add(0, {.priority = 3});
  machine.run_until(10 * kSecond);
  EXPECT_EQ(task.ran, 10 * kSecond);
  EXPECT_LE(machine.events(), 2u);
}

TEST(Scheduler, EqualsGetEqualShares) {
  Simulation machine(1);
  for (int i = 0; i < 3; ++i) machine.add(0, {.priority = 3});
  machine.run_until(30 * kSecond);
  for (const auto& task : machine.tasks()) {
    EXPECT_NEAR(share(*task, machine.now()), 1.0 / 3, 0.001);
    EXPECT_LE(task->longest_wait, 20 * kMillisecond);
  }
  EXPECT_EQ(machine.idle(), 0u);
}

TEST(Scheduler, ATaskOfTheSamePriorityThatIsInterruptedKeepsItsTurn) {
  LoadBoard board;
  Scheduler scheduler(board, 0);
  Task a(Task::Kind::Vcpu, 0, {.priority = 3, .slice = 10, .cpus = 1});
  Task b(Task::Kind::Vcpu, 0, {.priority = 3, .slice = 10, .cpus = 1});
  scheduler.add(a, 0);
  scheduler.add(b, 0);
  ASSERT_EQ(scheduler.pick(0), &a);
  EXPECT_EQ(scheduler.next_event(), 10u);
  a.state = Task::State::Ready;
  scheduler.stop(a, 4);
  ASSERT_EQ(scheduler.pick(4), &a);
  EXPECT_EQ(scheduler.next_event(), 10u) << "the rest of its slice";
  a.state = Task::State::Ready;
  scheduler.stop(a, 12);
  ASSERT_EQ(scheduler.pick(12), &b);
  b.state = Task::State::Ready;
  scheduler.stop(b, 22);
  ASSERT_EQ(scheduler.pick(22), &a);
  EXPECT_EQ(scheduler.next_event(), 30u) << "what it ran for too long is owed";
}

TEST(Scheduler, WhoeverSleepsOftenGetsHisPartAndDoesNotDisturbTheOthers) {
  Simulation machine(1);
  SimulatedTask& spinning = machine.add(0, {.priority = 3});
  SimulatedTask& other = machine.add(0, {.priority = 3});
  SimulatedTask& interactive = machine.add(0, {.priority = 3}, 1 * kMillisecond, 9 * kMillisecond);
  machine.run_until(30 * kSecond);
  EXPECT_NEAR(share(spinning, machine.now()), share(other, machine.now()), 0.01);
  EXPECT_LE(interactive.longest_wait, 20 * kMillisecond);
}

TEST(Scheduler, AnUrgentTaskPreemptsAtOnceAndALowOneDoesNotStarveBeyondIt) {
  Simulation machine(1);
  SimulatedTask& low = machine.add(0, {.priority = 0});
  SimulatedTask& high = machine.add(0, {.priority = 7}, 1 * kMillisecond, 3 * kMillisecond);
  machine.run_until(10 * kSecond);
  EXPECT_EQ(high.longest_wait, 0u);
  EXPECT_NEAR(share(low, machine.now()), 0.75, 0.001);
}

TEST(Scheduler, EachTaskHasASliceOfItsOwn) {
  Simulation machine(1);
  SimulatedTask& longer = machine.add(0, {.priority = 3, .slice = 30 * kMillisecond});
  SimulatedTask& shorter = machine.add(0, {.priority = 3, .slice = 10 * kMillisecond});
  machine.run_until(40 * kSecond);
  EXPECT_NEAR(share(longer, machine.now()), 0.75, 0.001);
  EXPECT_NEAR(share(shorter, machine.now()), 0.25, 0.001);
}

// ---- budgets ----

TEST(Scheduler, ABudgetIsExactAlsoForATaskThatIsAlone) {
  Simulation machine(1);
  SimulatedTask& task = machine.add(0, {.priority = 3, .budget = 20 * kMillisecond, .period = 100 * kMillisecond});
  machine.run_until(10 * kSecond);
  EXPECT_EQ(task.ran, 2 * kSecond);
  EXPECT_EQ(machine.idle(), 8 * kSecond);
}

TEST(Scheduler, ABudgetIsExactBesideOthers) {
  Simulation machine(1);
  SimulatedTask& limited = machine.add(0, {.priority = 5, .budget = 20 * kMillisecond, .period = 100 * kMillisecond});
  SimulatedTask& other = machine.add(0, {.priority = 3});
  machine.run_until(10 * kSecond);
  EXPECT_EQ(limited.ran, 2 * kSecond);
  EXPECT_EQ(other.ran, 8 * kSecond);
  EXPECT_LE(other.longest_wait, 20 * kMillisecond);
}

TEST(Scheduler, EveryPeriodHasItsBudget) {
  Simulation machine(1);
  SimulatedTask& task = machine.add(0, {.priority = 3, .budget = 5 * kMillisecond, .period = 20 * kMillisecond});
  for (u64 period = 1; period <= 50; ++period) {
    machine.run_until(period * 20 * kMillisecond);
    EXPECT_EQ(task.ran, period * 5 * kMillisecond);
  }
}

// Interrupts come late: what a task ran beyond its budget is taken from the next one.
TEST(Scheduler, WhatWasOverrunIsOwed) {
  LoadBoard board;
  Scheduler scheduler(board, 0);
  Task task(Task::Kind::Vcpu, 0, {.priority = 3, .slice = 1000, .budget = 20, .period = 100, .cpus = 1});
  scheduler.add(task, 0);
  u64 ran = 0;
  for (u64 time = 0; time < 10'000;) {
    if (scheduler.pick(time) == nullptr) {
      time = scheduler.next_event();
      continue;
    }
    const u64 until = scheduler.next_event() + 3;
    ran += until - time;
    task.state = Task::State::Ready;
    scheduler.stop(task, until);
    time = until;
  }
  EXPECT_NEAR(static_cast<double>(ran), 2000, 4);
  EXPECT_EQ(task.ran, ran);
}

// A task that runs across the end of its period is charged for each part in its own period.
TEST(Scheduler, ATurnAcrossThePeriodsEndCountsForBoth) {
  LoadBoard board;
  Scheduler scheduler(board, 0);
  Task task(Task::Kind::Vcpu, 0, {.priority = 3, .slice = 1000, .budget = 40, .period = 100, .cpus = 1});
  scheduler.add(task, 0);
  ASSERT_EQ(scheduler.pick(0), &task);
  task.state = Task::State::Blocked;
  scheduler.stop(task, 10);
  scheduler.add(task, 90);
  ASSERT_EQ(scheduler.pick(90), &task);
  EXPECT_EQ(scheduler.next_event(), 120u) << "30 of the old period are left";
  task.state = Task::State::Ready;
  scheduler.stop(task, 120);
  ASSERT_EQ(scheduler.pick(120), &task);
  EXPECT_EQ(scheduler.next_event(), 140u) << "20 of the new period's 40 are gone";
}

TEST(Scheduler, WaitingForTheNextPeriodIsStolenTime) {
  Simulation machine(1);
  SimulatedTask& task = machine.add(0, {.priority = 3, .budget = 20 * kMillisecond, .period = 100 * kMillisecond});
  machine.run_until(kSecond);
  EXPECT_EQ(task.waited, 800 * kMillisecond);
}

TEST(Scheduler, ATaskThatHasToGiveUpWaitsForNobody) {
  LoadBoard board;
  Scheduler scheduler(board, 0);
  Task high(Task::Kind::Vcpu, 0, {.priority = 7, .slice = 10, .cpus = 1});
  Task low(Task::Kind::Vcpu, 0, {.priority = 0, .slice = 10, .cpus = 1});
  Task limited(Task::Kind::Vcpu, 0, {.priority = 7, .slice = 10, .budget = 10, .period = 1000, .cpus = 1});
  scheduler.add(limited, 0);
  ASSERT_EQ(scheduler.pick(0), &limited);
  limited.state = Task::State::Ready;
  scheduler.stop(limited, 10);
  EXPECT_EQ(scheduler.pick(10), nullptr);
  scheduler.add(high, 10);
  scheduler.add(low, 10);
  scheduler.hasten(low);
  scheduler.hasten(limited);
  EXPECT_EQ(scheduler.pick(10), &limited);
  limited.state = Task::State::Blocked;
  scheduler.stop(limited, 11);
  EXPECT_EQ(scheduler.pick(11), &low);
}

// ---- host threads ----

TEST(Scheduler, NoPriorityOfGuestsKeepsTheHostFromItsWork) {
  Simulation machine(1);
  const Scheduling host{
      .priority = kThreadPriority, .slice = 10 * kMillisecond, .budget = 5 * kMillisecond, .period = 10 * kMillisecond};
  SimulatedTask& thread = machine.add(0, host, 1 * kMillisecond, 50 * kMillisecond, Task::Kind::Thread);
  machine.add(0, {.priority = 7});
  machine.run_until(kSecond);
  EXPECT_EQ(thread.longest_wait, 0u);
}

TEST(Scheduler, LongWorkOfTheHostLeavesHalfOfTheTimeToGuests) {
  Simulation machine(1);
  const Scheduling host{
      .priority = kThreadPriority, .slice = 10 * kMillisecond, .budget = 5 * kMillisecond, .period = 10 * kMillisecond};
  SimulatedTask& thread = machine.add(0, host, 0, 0, Task::Kind::Thread);
  SimulatedTask& guest = machine.add(0, {.priority = 0});
  machine.run_until(kSecond);
  EXPECT_EQ(thread.ran, kSecond / 2);
  EXPECT_EQ(guest.ran, kSecond / 2);
}

TEST(Scheduler, WhatGuestsLeaveIsTheHostsWithoutDebt) {
  Simulation machine(1);
  const Scheduling host{
      .priority = kThreadPriority, .slice = 10 * kMillisecond, .budget = 5 * kMillisecond, .period = 10 * kMillisecond};
  SimulatedTask& thread = machine.add(0, host, 0, 0, Task::Kind::Thread);
  SimulatedTask& guest = machine.add(0, {.priority = 7});
  guest.wakes_at = kSecond;
  machine.run_until(2 * kSecond);
  EXPECT_EQ(thread.ran, kSecond + kSecond / 2);
  EXPECT_EQ(guest.ran, kSecond / 2);
}

// ---- several CPUs ----

TEST(Scheduler, AnIdleCpuTakesWhatWaitsElsewhere) {
  Simulation machine(2);
  for (int i = 0; i < 2; ++i) machine.add(0, {.priority = 3, .cpus = 3});
  machine.run_until(kSecond);
  EXPECT_EQ(machine.idle(), 0u);
  for (const auto& task : machine.tasks()) EXPECT_EQ(task->ran, kSecond);
}

TEST(Scheduler, ATaskStaysInItsMask) {
  Simulation machine(3);
  for (int i = 0; i < 4; ++i) machine.add(0, {.priority = 3, .cpus = 5}, (i + 1) * kMillisecond, 2 * kMillisecond);
  for (int i = 0; i < 2; ++i) machine.add(1, {.priority = 3, .cpus = 2});
  machine.run_until(kSecond);  // Simulation checks every move
  EXPECT_GT(machine.tasks()[0]->moves + machine.tasks()[1]->moves + machine.tasks()[2]->moves + machine.tasks()[3]->moves, 0u);
}

TEST(Scheduler, SixTasksOnTwoCpusGetAThirdEach) {
  Simulation machine(2);
  for (unsigned i = 0; i < 6; ++i) machine.add(i < 4 ? 0 : 1, {.priority = 3, .cpus = 3});
  machine.run_until(30 * kSecond);
  for (const auto& task : machine.tasks()) EXPECT_NEAR(share(*task, machine.now()), 1.0 / 3, 0.01);
}

struct Uneven {
  unsigned tasks;
  unsigned cpus;
};
class UnevenLoad : public testing::TestWithParam<Uneven> {};

// There is no even distribution: tasks have to take turns in having a CPU with fewer rivals.
TEST_P(UnevenLoad, IsSharedEvenlyOverTime) {
  const auto [tasks, cpus] = GetParam();
  Simulation machine(cpus);
  for (unsigned i = 0; i < tasks; ++i) machine.add(i % cpus, {.priority = 3, .cpus = (u64{1} << cpus) - 1});
  machine.run_until(30 * kSecond);
  unsigned moves = 0;
  for (const auto& task : machine.tasks()) {
    EXPECT_NEAR(share(*task, machine.now()) * tasks / cpus, 1.0, 0.05);
    moves += task->moves;
  }
  EXPECT_LE(moves, cpus * 30 * 100 / 20u + 30) << "not all the time";
}
INSTANTIATE_TEST_SUITE_P(Scheduler, UnevenLoad,
                         testing::Values(Uneven{3, 2}, Uneven{5, 2}, Uneven{7, 3}, Uneven{4, 3}, Uneven{5, 4}, Uneven{6, 4},
                                         Uneven{7, 4}),
                         [](const auto& load) {
                           return std::to_string(load.param.tasks) + "On" + std::to_string(load.param.cpus);
                         });

TEST(Scheduler, ATaskBehindAnUrgentOneFindsACpuWhereItRuns) {
  Simulation machine(2);
  SimulatedTask& urgent = machine.add(0, {.priority = 7});
  SimulatedTask& behind = machine.add(0, {.priority = 3, .cpus = 3});
  SimulatedTask& elsewhere = machine.add(1, {.priority = 3, .cpus = 2});
  machine.run_until(10 * kSecond);
  EXPECT_EQ(urgent.ran, machine.now());
  EXPECT_NEAR(share(behind, machine.now()), 0.5, 0.01);
  EXPECT_NEAR(share(elsewhere, machine.now()), 0.5, 0.01);
}

// Everything at once, with every invariant checked at every moment (Simulation::check).
TEST(Scheduler, KeepsItsPromisesUnderAMixedLoad) {
  Simulation machine(3);
  std::minstd_rand generator;  // the same numbers every time
  const auto random = [&generator](u64 below) { return generator() % below; };
  for (unsigned i = 0; i < 24; ++i) {
    Scheduling how{.priority = static_cast<u8>(random(8)), .slice = (1 + random(20)) * kMillisecond, .cpus = 1 + random(7)};
    if (random(3) == 0) how.period = (1 + random(50)) * kMillisecond, how.budget = 1 + random(how.period);
    const u64 sleep = random(4) == 0 ? 0 : 1 + random(30 * kMillisecond);
    machine.add(static_cast<unsigned>(std::countr_zero(how.cpus)), how, 1 + random(5 * kMillisecond), sleep);
  }
  machine.run_until(20 * kSecond);
  u64 total = machine.idle();
  for (const auto& task : machine.tasks()) {
    total += task->ran;
    const Scheduling& how = task->scheduling;
    if (how.budget == 0) continue;
    EXPECT_LE(task->ran, (machine.now() / how.period + 1) * how.budget);
  }
  EXPECT_EQ(total, 3 * machine.now()) << "all time is somebody's";
}

}  // namespace
}  // namespace hv
