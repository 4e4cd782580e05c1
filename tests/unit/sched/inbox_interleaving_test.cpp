// Two posters, a task that moves to another CPU, and the CPUs' loops: whatever follows what, no request is overlooked and no
// notification is left behind.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <utility>

#include "hypervisor/sched/inbox.hpp"
#include "tests/unit/sched/interleavings.hpp"

namespace hv {
namespace {

using interleaving::Atomic;
using interleaving::Explorer;

/// As Cpu::notify(), drain_inbox() and share_load() do it.
struct Machine {
  using Letter = BasicLetter<Atomic>;

  struct Cpu {
    BasicInbox<Atomic> inbox;
    Atomic<bool> kicked;
  };

  void notify() {
    Cpu& target = cpus[task.cpu.load()];
    if (target.inbox.post(task)) target.kicked.store(true);
  }
  void post(unsigned request) {
    requests.fetch_or(request);
    notify();
  }
  void move(unsigned to) {
    task.cpu.store(to);
    notify();
  }
  /// A CPU's loop; the task that is on it moves to `next` when it has been looked at for the first time.
  void loop(unsigned index, std::optional<unsigned> next) {
    for (;;) {
      Explorer::wait([this, index] { return cpus[index].kicked.peek(); });
      cpus[index].kicked.store(false);
      cpus[index].inbox.drain([&](Letter&) {
        if (task.cpu.load() != index) return notify();
        served |= requests.exchange(0);
        if (next) move(*std::exchange(next, std::nullopt));
      });
    }
  }

  Letter task{0};
  std::array<Cpu, 2> cpus;
  Atomic<unsigned> requests;
  unsigned served = 0;
};

void explore(unsigned preemptions, std::optional<unsigned> first_move, std::optional<unsigned> second_move) {
  std::unique_ptr<Machine> machine;
  Explorer explorer(preemptions);
  const unsigned long orders = explorer.explore(
      [&] {
        machine = std::make_unique<Machine>();
        explorer.thread([&] { machine->post(1); });
        explorer.thread([&] { machine->post(2); });
        explorer.thread([&] { machine->loop(0, first_move); });
        explorer.thread([&] { machine->loop(1, second_move); });
      },
      [&] {
        ASSERT_EQ(machine->served, 3u) << "a request was overlooked";
        ASSERT_FALSE(machine->task.notified.peek()) << "a notification was left behind";
        for (const auto& cpu : machine->cpus) ASSERT_FALSE(cpu.kicked.peek());
      });
  EXPECT_GT(orders, 100u);
  ::testing::Test::RecordProperty("orders", std::to_string(orders));
}

TEST(InboxInterleavings, ATaskThatStaysSeesEveryRequest) { explore(2, std::nullopt, std::nullopt); }
TEST(InboxInterleavings, ATaskThatMovesSeesEveryRequest) { explore(2, 1, std::nullopt); }
TEST(InboxInterleavings, ATaskThatMovesThereAndBackSeesEveryRequest) { explore(2, 1, 0); }

}  // namespace
}  // namespace hv
