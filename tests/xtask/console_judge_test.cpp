#include "tools/xtask/run/console_judge.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace ax::xtask {
namespace {

using std::chrono::milliseconds;
using Kind = Verdict::Kind;

class ConsoleJudgeTest : public ::testing::Test {
 protected:
  ConsoleJudge& judge() {
    if (!judge_) {
      judge_ = std::make_unique<ConsoleJudge>(script_, now_);
    }
    return *judge_;
  }
  void print(std::string_view bytes) { judge().feed(bytes, now_); }
  void pass(milliseconds time) {
    now_ += time;
    judge().tick(now_);
  }
  std::optional<Kind> kind() { return judge().verdict() ? std::optional(judge().verdict()->kind) : std::nullopt; }

  ConsoleScript script_;
  TimePoint now_{};

 private:
  std::unique_ptr<ConsoleJudge> judge_;
};

TEST_F(ConsoleJudgeTest, SucceedsOnAnyOfTheExpressions) {
  script_.success_regex = {"never", "all \\d+ tests passed"};
  print("all 12 tests pas");
  EXPECT_EQ(kind(), std::nullopt);
  print("sed");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, FailsFirstWhenOneChunkHoldsBoth) {
  script_.success_regex = {"done"};
  script_.fail_regex = {"(?i)\\bpanic(?:ked)?\\b"};
  print("done, but kernel panic\n");
  ASSERT_EQ(kind(), Kind::FailRegex);
  EXPECT_EQ(judge().verdict()->text(),
            "fail_regex: /(?i)\\bpanic(?:ked)?\\b/ matched 'done, but kernel panic'");
}

TEST_F(ConsoleJudgeTest, SeesPromptsInUnfinishedLines) {
  script_.success_regex = {"login: "};
  print("\r\nguest login: ");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, WaitsForTheEndOfALineThatAnExpressionAsksFor) {
  script_.success_regex = {"^1234$"};
  print("1234");
  EXPECT_EQ(kind(), std::nullopt);
  print("5\r\n");
  EXPECT_EQ(kind(), std::nullopt);
  print("1234\r\n");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, TakesAQuietUnfinishedLineAsFinished) {
  script_.success_regex = {"# $"};
  print("root@guest:~# ");
  EXPECT_EQ(kind(), std::nullopt);
  ASSERT_EQ(judge().deadline(), now_ + ConsoleJudge::kSettle);
  pass(ConsoleJudge::kSettle);
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, MatchesThroughEscapeSequencesAndOnThem) {
  script_.success_regex = {"Hello World"};
  script_.fail_regex = {"\\x1b\\[31m"};
  print("Hello \x1b[1mWorld");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, MatchesEscapeSequencesThemselves) {
  script_.success_regex = {"never"};
  script_.fail_regex = {"\\x1b\\[31m"};
  print("\x1b[31mred");
  EXPECT_EQ(kind(), Kind::FailRegex);
}

TEST_F(ConsoleJudgeTest, DoesNotMatchAcrossLines) {
  script_.success_regex = {"(?s)a.*b"};
  print("a\n");
  print("b\n");
  EXPECT_EQ(kind(), std::nullopt);
}

TEST_F(ConsoleJudgeTest, TypesTheInitCommandOnceAfterThePrompt) {
  script_.shell_prefix = "~ #";
  script_.shell_init_cmd = "pwd";
  script_.success_regex = {"^ok$"};
  print("~ ");
  print("# ");
  EXPECT_EQ(judge().take_input(), "");
  pass(ConsoleJudge::kTypingDelay);
  EXPECT_EQ(judge().take_input(), "pwd\n");
  print("pwd\r\n~ # ");
  pass(ConsoleJudge::kTypingDelay);
  EXPECT_EQ(judge().take_input(), "");
}

TEST_F(ConsoleJudgeTest, GoesThroughStepsInOrder) {
  script_.steps = {{"prompt", "~ # ", "echo $((2*3))\n", {}}, {"answer", "^6$", "exit\n", {}}};
  print("6\n");  // before the question: no answer
  print("~ # ");
  EXPECT_EQ(judge().take_input(), "echo $((2*3))\n");
  print("echo $((2*3))\r\n");
  EXPECT_EQ(kind(), std::nullopt);
  print("6\r\n");
  EXPECT_EQ(judge().take_input(), "exit\n");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, LooksForAStepOnlyAfterThePreviousOne) {
  script_.steps = {{"first", "b", "", {}}, {"second", "a", "", {}}};
  print("a b");
  EXPECT_EQ(kind(), std::nullopt);
  print(" a");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, KnowsWhereALineStartsWhenAStepBeginsInsideIt) {
  script_.steps = {{"first", "one", "", {}}, {"second", "^two", "", {}}};
  print("one two");
  EXPECT_EQ(kind(), std::nullopt);
  print("\ntwo");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, NeedsStepsAndSuccessBoth) {
  script_.steps = {{"step", "ready", "", {}}};
  script_.success_regex = {"good"};
  print("ready");
  EXPECT_EQ(kind(), std::nullopt);
  print(" good");
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, SaysWhatItAwaitedWhenAStepIsLate) {
  script_.steps = {{"boot", "up", "", {}}, {"answer", "^42$", "", Seconds(2)}};
  script_.timeout = Seconds(60);
  pass(milliseconds(5000));
  print("up\n");
  EXPECT_EQ(judge().deadline(), now_ + ConsoleJudge::kSettle);
  pass(milliseconds(1999));
  EXPECT_EQ(kind(), std::nullopt);
  pass(milliseconds(1));
  ASSERT_EQ(kind(), Kind::Timeout);
  EXPECT_EQ(judge().verdict()->text(), "timeout: awaited 'answer' (step 2 of 2): /^42$/ for 2 s");
}

TEST_F(ConsoleJudgeTest, SaysWhatItAwaitedWhenTheRunIsLate) {
  script_.success_regex = {"a", "b"};
  script_.timeout = Seconds(1.5);
  EXPECT_EQ(judge().deadline(), now_ + milliseconds(1500));
  pass(milliseconds(1500));
  ASSERT_EQ(kind(), Kind::Timeout);
  EXPECT_EQ(judge().verdict()->text(), "timeout: awaited success_regex /a/, /b/; the run's 1.5 s are over");
}

TEST_F(ConsoleJudgeTest, FailsWhenTheEmulatorEndsEarly) {
  script_.success_regex = {"never"};
  judge().on_exit(0, now_);
  ASSERT_EQ(kind(), Kind::Exit);
  EXPECT_EQ(judge().verdict()->text(),
            "exit: the emulator ended with status 0, still awaited: success_regex /never/");
}

TEST_F(ConsoleJudgeTest, JudgesTheLastUnfinishedLineAtTheEnd) {
  script_.success_regex = {"^bye$"};
  print("bye");
  judge().on_exit(0, now_);
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, TakesTheStatusWhereNothingElseIsAsked) {
  judge().on_exit(0, now_);
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, TakesABadStatusAsFailure) {
  judge().on_exit(3, now_);
  EXPECT_EQ(judge().verdict()->text(), "exit: the emulator ended with status 3, expected 0");
}

TEST_F(ConsoleJudgeTest, WaitsForTheExpectedEnd) {
  script_.steps = {{"step", "off", "", {}}};
  script_.expect_exit = 7;
  print("off");
  EXPECT_EQ(kind(), std::nullopt);
  judge().on_exit(7, now_);
  EXPECT_EQ(kind(), Kind::Success);
}

TEST_F(ConsoleJudgeTest, StillFailsWhileItWaitsForTheEnd) {
  script_.success_regex = {"off"};
  script_.fail_regex = {"fault"};
  script_.expect_exit = 0;
  print("off\n");
  print("fault\n");
  EXPECT_EQ(kind(), Kind::FailRegex);
}

TEST_F(ConsoleJudgeTest, IsNotOverrunByAFlood) {
  script_.steps = {{"needle", "needle", "", {}}};
  const std::string flood(4096, 'x');
  for (int i = 0; i < 500; ++i) {
    print(flood);
  }
  print("needle");
  EXPECT_EQ(kind(), Kind::Success);
}

}  // namespace
}  // namespace ax::xtask
