// A machine of simulated CPUs around the scheduler, for policies that only show over time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "hypervisor/sched/scheduler.hpp"

namespace hv {

inline constexpr u64 kMillisecond = 1000;  // ticks
inline constexpr u64 kSecond = 1000 * kMillisecond;

/// A task that computes for `burst`, sleeps for `sleep`, and so on; without `sleep` it never blocks.
struct SimulatedTask : Task {
  SimulatedTask(Kind k, unsigned cpu_index, const Scheduling& how, u64 burst_ticks, u64 sleep_ticks)
      : Task(k, cpu_index, how), burst(burst_ticks), sleep(sleep_ticks), left(burst_ticks) {}
  const u64 burst;
  const u64 sleep;
  u64 left;          ///< of the burst
  u64 wakes_at = 0;  ///< while Blocked
  u64 longest_wait = 0;
  u64 asked_at = 0;
  unsigned moves = 0;
};

/// CPUs as hv::Cpu drives them, without hardware: kicks arrive at once, switching takes no time.
class Simulation {
 public:
  explicit Simulation(unsigned cpus) {
    for (unsigned cpu = 0; cpu < cpus; ++cpu) cpus_.push_back({Scheduler(board_, cpu)});
  }

  SimulatedTask& add(unsigned cpu, Scheduling how, u64 burst = 0, u64 sleep = 0, Task::Kind kind = Task::Kind::Vcpu) {
    if (how.slice == 0) how.slice = 10 * kMillisecond;
    if (how.cpus == 0) how.cpus = u64{1} << cpu;
    tasks_.push_back(std::make_unique<SimulatedTask>(kind, cpu, how, burst, sleep));
    return *tasks_.back();
  }

  void run_until(u64 end) {
    for (;;) {
      wake();
      while (settle()) {}
      const u64 next = std::min(next_time(), end);
      check();
      for (Cpu& cpu : cpus_) {
        idle_ += cpu.running == nullptr ? next - now_ : 0;
        if (cpu.running != nullptr && cpu.running->sleep != 0) cpu.running->left -= next - now_;
      }
      now_ = next;
      if (now_ == end) break;
      for (Cpu& cpu : cpus_) {
        cpu.look |= cpu.next_event <= now_;
        cpu.look |= cpu.running != nullptr && cpu.running->sleep != 0 && cpu.running->left == 0;
      }
    }
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu) round(cpu);  // what runs is charged
  }

  u64 now() const { return now_; }
  u64 idle() const { return idle_; }
  unsigned events() const { return events_; }
  const std::vector<std::unique_ptr<SimulatedTask>>& tasks() const { return tasks_; }
  SimulatedTask* running(unsigned cpu) { return cpus_[cpu].running; }
  Scheduler& scheduler(unsigned cpu) { return cpus_[cpu].scheduler; }
  LoadBoard& board() { return board_; }

 private:
  struct Cpu {
    Scheduler scheduler;
    SimulatedTask* running = nullptr;
    u64 next_event = Scheduler::kNever;
    bool look = true;
    std::vector<SimulatedTask*> inbox{};
  };

  void notify(SimulatedTask& task) {
    cpus_[task.cpu].inbox.push_back(&task);
    cpus_[task.cpu].look = true;
  }

  void wake() {
    for (auto& task : tasks_) {
      if (task->state != Task::State::Blocked || task->moving || task->wakes_at > now_) continue;
      task->wakes_at = Scheduler::kNever;
      task->asked_at = now_;
      notify(*task);
    }
  }

  bool settle() {
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu)
      if (cpus_[cpu].look) return round(cpu), true;
    return false;
  }

  /// Once through a CPU's loop.
  void round(unsigned index) {
    Cpu& cpu = cpus_[index];
    ++events_;
    cpu.look = false;
    if (SimulatedTask* task = cpu.running) {
      task->state = Task::State::Ready;
      if (task->sleep != 0 && task->left == 0) {
        task->state = Task::State::Blocked;
        task->left = task->burst;
        task->wakes_at = now_ + task->sleep;
      }
      cpu.scheduler.stop(*task, now_);
      if (task->state == Task::State::Ready) task->asked_at = now_;
    }
    cpu.running = nullptr;
    for (SimulatedTask* task : std::exchange(cpu.inbox, {})) cpu.scheduler.add(*task, now_);
    if (const auto move = cpu.scheduler.offload(static_cast<unsigned>(cpus_.size()), now_)) {
      auto& task = static_cast<SimulatedTask&>(*move->task);
      EXPECT_TRUE(task.scheduling.cpus >> move->cpu & 1) << "moved out of its mask";
      ++task.moves;
      task.cpu = move->cpu;
      notify(task);
    }
    cpu.running = static_cast<SimulatedTask*>(cpu.scheduler.pick(now_));
    cpu.next_event = cpu.scheduler.next_event();
    if (cpu.running != nullptr) {
      cpu.running->longest_wait = std::max(cpu.running->longest_wait, now_ - cpu.running->asked_at);
    } else if (const unsigned other = board_.find_offer(index, static_cast<unsigned>(cpus_.size())); other < cpus_.size()) {
      cpus_[other].look = true;
    }
  }

  u64 next_time() const {
    u64 next = Scheduler::kNever;
    for (const auto& task : tasks_)
      if (task->state == Task::State::Blocked && !task->moving) next = std::min(next, task->wakes_at);
    for (const Cpu& cpu : cpus_) {
      next = std::min(next, cpu.next_event);
      if (cpu.running != nullptr && cpu.running->sleep != 0) next = std::min(next, now_ + cpu.running->left);
    }
    return std::max(next, now_ + 1);
  }

  /// What holds at every moment.
  void check() {
    for (unsigned index = 0; index < cpus_.size(); ++index) {
      const SimulatedTask* running = cpus_[index].running;
      for (const auto& task : tasks_) {
        if (task->state != Task::State::Ready || task->cpu != index || task->exhausted) continue;
        ASSERT_NE(running, nullptr) << "a CPU sleeps while a task of its own is ready";
        ASSERT_LE(task->scheduling.priority, running->scheduling.priority) << "a more urgent task waits";
      }
      if (running != nullptr) continue;
      for (const auto& task : tasks_)
        ASSERT_FALSE(task->state == Task::State::Ready && !task->exhausted && (task->scheduling.cpus >> index & 1))
            << "CPU " << index << " sleeps while a task waits that it may run";
    }
  }

  LoadBoard board_;
  std::vector<Cpu> cpus_;
  std::vector<std::unique_ptr<SimulatedTask>> tasks_;
  u64 now_ = 0;
  u64 idle_ = 0;
  unsigned events_ = 0;
};

}  // namespace hv
