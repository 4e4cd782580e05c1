#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/sched/task.hpp"

namespace hv {
namespace {

using testing::ElementsAre;

struct Probe : Deadline {
  Probe(int probe_id, std::vector<int>& log) : Deadline(&fire), id(probe_id), fired(log) {}
  static void fire(Deadline& d) { static_cast<Probe&>(d).fired.push_back(static_cast<Probe&>(d).id); }
  int id;
  std::vector<int>& fired;
};

TEST(DeadlineQueue, RunsWhatIsDueSoonestFirst) {
  std::vector<int> fired;
  Probe a(1, fired), b(2, fired), c(3, fired);
  DeadlineQueue queue;
  queue.arm(a, 30);
  queue.arm(b, 10);
  queue.arm(c, 20);
  EXPECT_EQ(queue.next(), 10u);
  queue.run_due(20);
  EXPECT_THAT(fired, ElementsAre(2, 3));
  EXPECT_EQ(queue.next(), 30u);
}

TEST(DeadlineQueue, MovesAnArmedDeadlineAndForgetsACancelledOne) {
  std::vector<int> fired;
  Probe a(1, fired), b(2, fired);
  DeadlineQueue queue;
  queue.arm(a, 10);
  queue.arm(b, 20);
  queue.arm(a, 30);
  queue.cancel(b);
  queue.cancel(b);
  EXPECT_EQ(queue.next(), 30u);
  queue.run_due(100);
  EXPECT_THAT(fired, ElementsAre(1));
  EXPECT_EQ(queue.next(), DeadlineQueue::kNever);
}

struct Periodic : Deadline {
  explicit Periodic(DeadlineQueue& q) : Deadline(&fire), queue(q) {}
  static void fire(Deadline& d) {
    auto& self = static_cast<Periodic&>(d);
    ++self.count;
    self.queue.arm(self, self.ticks() + 10);
  }
  DeadlineQueue& queue;
  int count = 0;
};

TEST(DeadlineQueue, LetsACallbackArmItselfAgain) {
  DeadlineQueue queue;
  Periodic p(queue);
  queue.arm(p, 10);
  queue.run_due(35);
  EXPECT_EQ(p.count, 3);
  EXPECT_EQ(queue.next(), 40u);
}

TEST(Inbox, KeepsATaskOnceUntilItIsHandled) {
  Task a(Task::Kind::Vcpu, 0, {});
  Inbox inbox;
  EXPECT_TRUE(inbox.post(a));
  EXPECT_FALSE(inbox.post(a));
  int handled = 0;
  inbox.drain([&](Letter& t) {
    ++handled;
    EXPECT_TRUE(inbox.post(t));  // posted again while it is being handled: not lost
  });
  EXPECT_EQ(handled, 1);
  EXPECT_FALSE(inbox.empty());
}

TEST(Inbox, LosesNothingWithSeveralProducers) {
  constexpr int kRounds = 2000;
  Inbox inbox;
  Task tasks[4] = {{Task::Kind::Vcpu, 0, {}}, {Task::Kind::Vcpu, 0, {}}, {Task::Kind::Vcpu, 0, {}}, {Task::Kind::Vcpu, 0, {}}};
  std::atomic<int> posted = 0;
  std::atomic<int> running = 4;
  std::vector<std::thread> producers;
  for (Task& task : tasks) {
    producers.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i)
        if (inbox.post(task)) ++posted;
      --running;
    });
  }
  int handled = 0;
  while (running != 0 || !inbox.empty()) inbox.drain([&](Letter&) { ++handled; });
  for (auto& producer : producers) producer.join();
  inbox.drain([&](Letter&) { ++handled; });
  EXPECT_EQ(handled, posted.load());
}

}  // namespace
}  // namespace hv
