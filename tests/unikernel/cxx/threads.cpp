// Threads of C++ and what they meet at.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <numeric>
#include <queue>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "check.hpp"

namespace {

using namespace std::chrono_literals;

std::atomic<int> made = 0, destroyed = 0;
struct PerThread {
  PerThread() { ++made; }
  ~PerThread() { ++destroyed; }
  int value = 0;
};
thread_local PerThread per_thread;

void check_variables() {
  std::atomic<int> wrong = 0;
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([t, &wrong] {
        for (int i = 0; i < 100; ++i) per_thread.value += t;
        if (per_thread.value != 100 * t) ++wrong;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(wrong == 0);
  CHECK(made == 8 && destroyed == 8);
}

void check_locks() {
  std::mutex mutex;
  std::recursive_mutex recursive;
  int count = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          const std::scoped_lock lock(mutex, recursive);
          const std::lock_guard again(recursive);
          ++count;
        }
      });
    }
  }
  CHECK(count == 8000);
  std::shared_mutex shared;
  const std::shared_lock reader(shared);
  CHECK(shared.try_lock_shared());
  shared.unlock_shared();
  CHECK(!shared.try_lock());
  std::timed_mutex timed;
  timed.lock();
  std::thread([&] { CHECK(!timed.try_lock_for(5ms)); }).join();
  timed.unlock();
  std::once_flag once;
  int calls = 0;
  for (int i = 0; i < 3; ++i) std::call_once(once, [&] { ++calls; });
  CHECK(calls == 1);
}

void check_conditions() {
  std::mutex mutex;
  std::condition_variable changed;
  std::queue<int> queue;
  long sum = 0;
  std::thread consumer([&] {
    for (int left = 1000; left > 0; --left) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !queue.empty(); });
      sum += queue.front();
      queue.pop();
    }
  });
  for (int i = 1; i <= 1000; ++i) {
    {
      const std::lock_guard lock(mutex);
      queue.push(i);
    }
    changed.notify_one();
  }
  consumer.join();
  CHECK(sum == 500500);
  std::unique_lock lock(mutex);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(changed.wait_for(lock, 20ms) == std::cv_status::timeout);
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
}

void check_futures() {
  std::vector<std::future<long>> parts;
  for (int part = 0; part < 4; ++part) {
    parts.push_back(std::async(std::launch::async, [part] {
      long sum = 0;
      for (int i = part; i < 10000; i += 4) sum += i;
      return sum;
    }));
  }
  long sum = 0;
  for (std::future<long>& part : parts) sum += part.get();
  CHECK(sum == 49995000);
  std::promise<int> promise;
  std::thread([&] { promise.set_exception(std::make_exception_ptr(std::runtime_error("of the other thread"))); }).join();
  bool caught = false;
  try {
    promise.get_future().get();
  } catch (const std::runtime_error& error) {
    caught = std::string(error.what()) == "of the other thread";
  }
  CHECK(caught);
  std::packaged_task<int(int)> task([](int n) { return n * 2; });
  std::future<int> result = task.get_future();
  std::thread(std::move(task), 21).join();
  CHECK(result.get() == 42);
}

void check_meetings() {
  std::atomic<int> turn = 0;
  std::thread other([&] {
    for (int i = 0; i < 500; ++i) {
      turn.wait(2 * i);
      ++turn;
      turn.notify_one();
    }
  });
  for (int i = 0; i < 500; ++i) {
    ++turn;
    turn.notify_one();
    turn.wait(2 * i + 1);
  }
  other.join();
  CHECK(turn == 1000);
  std::latch latch(4);
  std::barrier barrier(4);
  std::counting_semaphore<8> semaphore(0);
  std::atomic<int> met = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        latch.arrive_and_wait();
        ++met;
        barrier.arrive_and_wait();
        if (met == 4) semaphore.release();
      });
    }
    for (int t = 0; t < 4; ++t) semaphore.acquire();
  }
  CHECK(met == 4);
  std::jthread stopped([](std::stop_token token) {
    while (!token.stop_requested()) std::this_thread::sleep_for(1ms);
  });
  CHECK(stopped.request_stop());
}

}  // namespace

void check_threads() {
  CHECK(std::thread::hardware_concurrency() == 4);
  check_variables();
  check_locks();
  check_conditions();
  check_futures();
  check_meetings();
  struct Large {
    long values[8];
  };
  std::atomic<Large> large{};
  large.store({{1, 2, 3, 4, 5, 6, 7, 8}});
  CHECK(large.load().values[7] == 8);
}
