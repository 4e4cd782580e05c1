#include "kernel/log/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arch/cpu.hpp>
#include <atomic>
#include <sstream>
#include <thread>

namespace ax::log {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class StringSink final : public Sink {
 public:
  void write(std::string_view t) override { text += t; }
  std::string take() { return std::exchange(text, {}); }
  std::string text;
};

/// The log is one per program; every test starts with a console of its own and nothing pending.
class Log : public ::testing::Test {
 protected:
  Log() {
    set_level(Level::Trace);
    set_clock(nullptr);
    set_console(console);
    (void)console.take();
  }
  ~Log() override {
    static StringSink nobody;
    set_console(nobody);
  }
  StringSink console;
};

TEST_F(Log, PrintsTimeCpuAndLevel) {
  set_clock([] { return u64{12'000'345}; });
  arch::fake::current_cpu = 3;
  info("value {}", 7);
  arch::fake::current_cpu = 0;
  EXPECT_EQ(console.take(), "[   12.000345 3 INFO] value 7\n");
  set_clock(nullptr);
  error("early");
  EXPECT_EQ(console.take(), "[    0.000000 0 ERROR] early\n");
  print_line("plain {:#x}", 16u);
  EXPECT_EQ(console.take(), "plain 0x10\n");
}

TEST_F(Log, DropsLevelsAboveTheChosenOne) {
  set_level(Level::Warn);
  info("hidden");
  warn("shown");
  EXPECT_EQ(console.take(), "[    0.000000 0 WARN] shown\n");
}

TEST_F(Log, ALineIsOneLine) {
  info("{}", std::string_view("model\n[    0.000000 0 ERROR] forged\r\x01\x7f\ttab \x1b[1mbold"));
  EXPECT_EQ(console.take(), "[    0.000000 0 INFO] model.[    0.000000 0 ERROR] forged...\ttab \x1b[1mbold\n");
}

TEST_F(Log, CutsOverlongLines) {
  info("{}", std::string(2 * kLineSize, 'x'));
  const std::string line = console.take();
  EXPECT_EQ(line.size(), kLineSize);
  EXPECT_THAT(line, EndsWith("xxx...\n"));
}

/// What is kept of all lines.
std::string kept() {
  std::vector<char> buffer(kRingSize * board::kMaxCpus);
  return std::string(recent(buffer));
}

TEST_F(Log, KeepsTheNewestText) {
  for (unsigned i = 0; i < 2000; ++i) info("line {}", i);
  const std::string all = kept();
  EXPECT_GT(all.size(), kRingSize / 2);
  EXPECT_THAT(all, EndsWith("line 1999\n"));
  std::vector<char> few(5);
  EXPECT_EQ(recent(few), "1999\n");
}

TEST_F(Log, ATalkativeCpuPushesOutNoLineOfAnother) {
  arch::fake::current_cpu = 1;
  info("seldom");
  arch::fake::current_cpu = 0;
  for (unsigned i = 0; i < 2000; ++i) info("often {}", i);
  EXPECT_THAT(kept(), HasSubstr(" 1 INFO] seldom\n"));
  EXPECT_THAT(kept(), Not(HasSubstr("often 0\n")));
}

TEST_F(Log, LinesOfSeveralCpusAreInTheOrderTheyCame) {
  for (unsigned i = 0; i < 100; ++i) {
    arch::fake::current_cpu = i % board::kMaxCpus;
    print_line("step {}", i);
  }
  arch::fake::current_cpu = 0;
  std::string expected;
  for (unsigned i = 0; i < 100; ++i) expected += "step " + std::to_string(i) + "\n";
  EXPECT_THAT(kept(), EndsWith(expected));
  EXPECT_THAT(console.take(), EndsWith(expected));
}

TEST_F(Log, WhatIsReadWhileItIsOverwrittenIsLeftOut) {
  enable_locking();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    arch::fake::current_cpu = 1;
    for (unsigned i = 0; i < 20'000; ++i) print_line("<{}>", std::string(1 + i % 100, static_cast<char>('a' + i % 26)));
    done = true;
  });
  while (!done) {
    std::istringstream lines(kept());
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] != '<') continue;
      EXPECT_EQ(line.back(), '>') << line;
      EXPECT_EQ(line.find_first_not_of(line[1], 1), line.size() - 1) << line;
    }
  }
  writer.join();
  enter_panic();
}

TEST_F(Log, LinesOfSeveralCpusDoNotMix) {
  enable_locking();
  constexpr unsigned kCpus = 4, kLines = 500;
  std::vector<std::thread> cpus;
  for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
    cpus.emplace_back([cpu] {
      arch::fake::current_cpu = cpu;
      for (unsigned i = 0; i < kLines; ++i) info("cpu {} says {}", cpu, std::string(20, static_cast<char>('a' + cpu)));
    });
  }
  for (std::thread& cpu : cpus) cpu.join();
  enter_panic();
  std::istringstream lines(console.take());
  unsigned count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::string tail = line.substr(line.size() - 20);
    ASSERT_EQ(tail, std::string(20, tail[0])) << line;
    ASSERT_THAT(line, StartsWith("["));
  }
  EXPECT_EQ(count, kCpus * kLines);
}

TEST_F(Log, APanicWaitsForNoLock) {
  enable_locking();
  const ConsoleGuard holder;
  enter_panic();
  log::console().write("report\n");
  EXPECT_EQ(console.take(), "report\n");
}

TEST(RateLimiter, LetsABurstThroughAndThenARate) {
  RateLimiter limiter(3, 10);
  u64 time = 5'000'000;
  (void)limiter.allow(time);
  unsigned passed = 1;
  for (int i = 0; i < 10; ++i) passed += limiter.allow(time);
  EXPECT_EQ(passed, 3u);
  EXPECT_EQ(limiter.take_suppressed(), 8u);
  EXPECT_EQ(limiter.take_suppressed(), 0u);
  passed = 0;
  for (int ms = 0; ms < 1000; ++ms) passed += limiter.allow(time += 1000);
  EXPECT_EQ(passed, 10u);
  EXPECT_FALSE(limiter.allow(0)) << "time that goes backwards earns nothing";
  passed = 0;
  for (int i = 0; i < 10; ++i) passed += limiter.allow(~u64{0});
  EXPECT_EQ(passed, 3u) << "a long pause fills the bucket, no more";
}

}  // namespace
}  // namespace ax::log
