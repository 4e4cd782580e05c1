#include "tools/xtask/run/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <csignal>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::is_gone;
using test::TerminalProgram;
using ::testing::HasSubstr;

/// Prints its own id and that of a descendant which left its session: both must be gone afterwards.
constexpr std::string_view kStubborn =
    "trap '' TERM HUP INT\nsetsid sleep 1000 &\necho \"pids $$ $!\"\necho ready\n"
    "while :; do sleep 1000; done\n";

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() { script_.timeout = Seconds(30); }

  RunOutcome run(std::string_view emulator, const RunOptions& options = {}) {
    test::write_script(emulator_, emulator);
    EmulatorTarget target({emulator_});
    return run_target(target, script_, options);
  }
  /// `xtask run` with this emulator and these further keys.
  Argv command(std::string_view emulator, const std::string& keys, std::vector<std::string> more = {}) {
    test::write_script(emulator_, emulator);
    const fs::path config = folder_.path() / "run.toml";
    write_file(config, "kernel = 'none'\nemulator = '" + emulator_.string() + "'\n" + keys);
    Argv argv{XTASK_PROGRAM, "run", "--config", config.string()};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  static std::vector<pid_t> pids_in(const std::string& console) {
    static const RE2 kPids("pids (\\d+) (\\d+)");
    std::vector<pid_t> pids(2, 0);
    EXPECT_TRUE(RE2::PartialMatch(console, kPids, &pids[0], &pids[1])) << console;
    return pids;
  }

  TemporaryFolder folder_;
  fs::path emulator_ = folder_.path() / "emulator";
  ConsoleScript script_;
  EnvironmentChanges environment_{{"AXVISOR_ROOT", AXVISOR_SOURCE_DIR}, {"TERM", "dumb"}};
};

TEST_F(RunnerTest, TypesAndReadsTheComputedAnswer) {
  script_.steps = {{"prompt", "^# ", "20 22\n", {}}, {"answer", "^42$", "", {}}};
  const RunOutcome outcome = run("printf '# '\nread a b\necho\necho $((a + b))\nsleep 1000\n");
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Success) << outcome.verdict.text();
}

TEST_F(RunnerTest, DoesNotTakeTheEchoForTheAnswer) {
  script_.steps = {{"prompt", "^# ", "20 22\n", {}}, {"answer", "^42$", "", {}}};
  const RunOutcome outcome = run("printf '# '\nread a b\necho \"$a $b\"\nexit 5\n");
  EXPECT_EQ(outcome.verdict.text(),
            "exit: the emulator ended with status 5, still awaited: 'answer' (step 2 of 2): /^42$/");
  EXPECT_EQ(outcome.last_lines, "# 20 22\n");
}

TEST_F(RunnerTest, ReadsEverythingBeforeItJudgesTheEnd) {
  script_.success_regex = {"^the very end$"};
  const RunOutcome outcome = run("i=0\nwhile [ $i -lt 800 ]; do echo line $i; i=$((i+1)); done\necho the very end\n");
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Success) << outcome.verdict.text();
}

TEST_F(RunnerTest, WritesTheConsoleToTheLogAsItIs) {
  run("printf 'a\\033[1mb\\r\\nc'\n", {.interactive = false, .log = folder_.path() / "log"});
  EXPECT_EQ(read_file(folder_.path() / "log"), "a\x1b[1mb\r\nc");
}

TEST_F(RunnerTest, KeepsTheLogLevelWithTheConsole) {
  // The emulator itself looks: its first line must be in the log before the run is over.
  const fs::path log = folder_.path() / "log";
  script_.success_regex = {"^seen$"};
  const RunOutcome outcome = run("echo first\nuntil grep -q first '" + log.string() + "'; do sleep 0.05; done\necho seen\n",
                                 {.interactive = false, .log = log});
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Success) << outcome.verdict.text();
}

TEST_F(RunnerTest, NamesAnEmulatorThatIsNotThere) {
  const Failure failure = test::failure_of([] { EmulatorTarget({"/nonexistent/qemu"}); });
  EXPECT_EQ(failure.code(), ExitCode::Environment);
  EXPECT_STREQ(failure.what(), "cannot run /nonexistent/qemu: No such file or directory");
}

TEST_F(RunnerTest, LeavesNoProcessAfterATimeout) {
  const test::ProgramResult result =
      test::run_program(command(kStubborn, "timeout = 0.5\nsuccess_regex = ['never']\n"), environment_);
  EXPECT_EQ(result.status, static_cast<int>(ExitCode::Timeout));
  EXPECT_THAT(result.output, HasSubstr("timeout: awaited success_regex /never/; the run's 0.5 s are over"));
  EXPECT_THAT(result.output, HasSubstr("the last 20 lines of the console:\npids "));
  for (const pid_t pid : pids_in(result.output)) {
    EXPECT_TRUE(is_gone(pid));
  }
}

TEST_F(RunnerTest, LeavesNoProcessAfterSuccess) {
  const test::ProgramResult result = test::run_program(command(kStubborn, "success_regex = ['ready']\n"), environment_);
  EXPECT_EQ(result.status, 0) << result.output;
  for (const pid_t pid : pids_in(result.output)) {
    EXPECT_TRUE(is_gone(pid));
  }
}

TEST_F(RunnerTest, LeavesNoProcessAfterCtrlC) {
  TerminalProgram program(command(kStubborn, "success_regex = ['never']\n"), environment_);
  ASSERT_TRUE(program.wait_for("ready")) << program.output();
  program.type("\x03");
  EXPECT_EQ(program.finish(), static_cast<int>(ExitCode::Interrupted)) << program.output();
  for (const pid_t pid : pids_in(program.output())) {
    EXPECT_TRUE(is_gone(pid));
  }
}

TEST_F(RunnerTest, EndsTheGuestsLineBeforeItsOwn) {
  TerminalProgram program(command("printf 'ready ~ # '\nexec sleep 1000\n", "success_regex = ['never']\n"), environment_);
  ASSERT_TRUE(program.wait_for("~ # ")) << program.output();
  program.type("\x03");
  EXPECT_EQ(program.finish(), static_cast<int>(ExitCode::Interrupted));
  EXPECT_THAT(program.output(), HasSubstr("\nerror: interrupted"));
}

TEST_F(RunnerTest, LeavesNoEmulatorWhenItIsKilledItself) {
  TerminalProgram program(command("echo \"pids $$ $$\"\necho ready\nexec sleep 1000\n", "success_regex = ['never']\n"),
                          environment_);
  ASSERT_TRUE(program.wait_for("ready")) << program.output();
  ::kill(program.pid(), SIGKILL);
  EXPECT_EQ(program.finish(), 128 + SIGKILL);
  EXPECT_TRUE(is_gone(pids_in(program.output())[0]));
}

TEST_F(RunnerTest, GivesEveryKeyToTheGuestAndTheTerminalBack) {
  // The fake guest reads Ctrl-C (3) as a key and ends at "q".
  TerminalProgram program(
      command("stty raw -echo\necho ready\nkey=$(dd bs=1 count=1 2>/dev/null | od -An -tu1)\necho \"key $key\"\nread -r _\n", "",
              {"--interactive"}),
      environment_);
  ASSERT_TRUE(program.wait_for("ready")) << program.output();
  program.type("\x03");
  ASSERT_TRUE(program.wait_for("key    3")) << program.output();
  EXPECT_FALSE(program.terminal_is_cooked());
  program.type("q\n");
  EXPECT_EQ(program.finish(), 0) << program.output();
  EXPECT_TRUE(program.terminal_is_cooked());
}

TEST_F(RunnerTest, GivesTheTerminalBackWhenItIsTerminated) {
  TerminalProgram program(command("echo ready\nexec sleep 1000\n", "", {"--interactive"}), environment_);
  ASSERT_TRUE(program.wait_for("ready")) << program.output();
  ::kill(program.pid(), SIGTERM);
  EXPECT_EQ(program.finish(), static_cast<int>(ExitCode::Interrupted));
  EXPECT_TRUE(program.terminal_is_cooked());
}

TEST_F(RunnerTest, SucceedsWhenItFailsAsExpected) {
  const std::string keys = "fail_regex = ['fault']\nsuccess_regex = ['never']\nverdict = 'fail'\n";
  const test::ProgramResult expected =
      test::run_program(command("echo fault\n", keys + "fail_reason = 'fail_regex.*fault'\n"), environment_);
  EXPECT_EQ(expected.status, 0) << expected.output;
  EXPECT_THAT(expected.output, HasSubstr("failed as expected after"));
  const test::ProgramResult other =
      test::run_program(command("echo fault\n", keys + "fail_reason = '^timeout'\n"), environment_);
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("it should have failed with /^timeout/"));
  const test::ProgramResult none =
      test::run_program(command("echo never\n", keys + "fail_reason = '^timeout'\n"), environment_);
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.output, HasSubstr("run succeeded but should have failed"));
}

TEST_F(RunnerTest, ReportsAFailingExpressionWithItsLine) {
  const test::ProgramResult result =
      test::run_program(command("echo one\necho EL2 fault at 0\nexec sleep 1000\n", "fail_regex = ['fault']\n"), environment_);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("fail_regex: /fault/ matched 'EL2 fault at 0'"));
}

TEST_F(RunnerTest, DefinesVariablesFromTheCommandLine) {
  const test::ProgramResult result = test::run_program(
      command("echo \"$1\"\n", "args = ['${greeting}']\nsuccess_regex = ['^hello$']\n", {"--define", "greeting=hello"}),
      environment_);
  EXPECT_EQ(result.status, 0) << result.output;
}

}  // namespace
}  // namespace ax::xtask
