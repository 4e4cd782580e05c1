#include "tools/xtask/run/bochs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"
#include "tools/xtask/run/runner.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;
using ::testing::HasSubstr;
using ::testing::Not;

class BochsTest : public ::testing::Test {
 protected:
  BochsTest() {
    machine_.emulator = "/usr/bin/bochs";
    machine_.kernel = KernelSource::Iso;
  }
  std::string configuration() { return bochs_configuration(machine_, "/a b.iso", 4711, "/tmp/log"); }

  /// A program with the interface of Bochs: connects to the console that its configuration names, and runs `body` with the
  /// connection as its standard input and output.
  void fake(std::string_view body) {
    machine_.emulator = (folder_.path() / "bochs").string();
    test::write_script(machine_.emulator,
                       "port=$(sed -n 's/.*dev=localhost://p' \"$3\")\n"
                       "exec python3 -c \"import os, socket, sys\n"
                       "s = socket.create_connection(('127.0.0.1', $port))\n"
                       "os.dup2(s.fileno(), 0); os.dup2(s.fileno(), 1)\n"
                       "os.execv('/bin/sh', ['sh', '-c', sys.argv[1]])\" '" +
                           std::string(body) + "'\n");
  }
  RunOutcome run(std::string_view body) {
    fake(body);
    BochsTarget target(machine_, "/a.iso");
    return run_target(target, script_, {});
  }

  TemporaryFolder folder_;
  MachineSettings machine_;
  ConsoleScript script_;
};

TEST_F(BochsTest, IsKnownByItsName) {
  EXPECT_TRUE(is_bochs(machine_));
  machine_.emulator = "qemu-system-x86_64";
  EXPECT_FALSE(is_bochs(machine_));
}

TEST_F(BochsTest, ConfiguresTheMachine) {
  machine_.cpu = "ryzen";
  machine_.memory = "2G";
  machine_.smp = 2;
  machine_.args = {"cpu: ignore_bad_msrs=1"};
  EXPECT_THAT(configuration(), HasSubstr("megs: 2048\ncpu: model=ryzen, count=2, "));
  EXPECT_THAT(configuration(), HasSubstr("ata0-master: type=cdrom, path=\"/a b.iso\", status=inserted\n"));
  EXPECT_THAT(configuration(), HasSubstr("com1: enabled=1, mode=socket-client, dev=localhost:4711\n"));
  EXPECT_THAT(configuration(), ::testing::EndsWith("\ncpu: ignore_bad_msrs=1\n"));
}

TEST_F(BochsTest, HasDefaultsWithVmx) {
  EXPECT_THAT(configuration(), HasSubstr("megs: 512\ncpu: model=corei7_skylake_x, count=1, "));
}

TEST_F(BochsTest, RefusesWhatItCannotDo) {
  machine_.memory = "lots";
  EXPECT_STREQ(failure_of([&] { configuration(); }).what(), "'memory': 'lots' is not a number of megabytes (512M, 2G)");
  machine_.memory.clear();
  machine_.kernel = KernelSource::Elf;
  EXPECT_STREQ(failure_of([&] { configuration(); }).what(), "Bochs boots from a CD only: kernel = \"iso\"");
  machine_.gic_version = 3;
  EXPECT_STREQ(failure_of([&] { configuration(); }).what(), "'gic_version' has no meaning for Bochs");
}

TEST_F(BochsTest, TypesIntoTheConsoleAndReadsIt) {
  script_.timeout = Seconds(30);
  script_.steps = {{"prompt", "^# ", "20 22\n", {}}, {"answer", "^42$", "", {}}};
  const RunOutcome outcome = run("printf \"# \"; read a b; echo; echo $((a + b)); sleep 1000");
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Success) << outcome.verdict.text();
}

TEST_F(BochsTest, LosesNothingOfWhatIsPrintedBeforeTheEnd) {
  script_.timeout = Seconds(30);
  script_.success_regex = {"^the very end$"};
  const RunOutcome outcome = run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo the very end");
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Success) << outcome.verdict.text();
}

TEST_F(BochsTest, EndsAtTheDeadlineAndLeavesNothingBehind) {
  script_.timeout = Seconds(1);
  script_.success_regex = {"never"};
  const RunOutcome outcome = run("trap \"\" TERM; echo pid $$; sleep 1000");
  EXPECT_EQ(outcome.verdict.kind, Verdict::Kind::Timeout);
  ASSERT_THAT(outcome.last_lines, ::testing::StartsWith("pid "));
  EXPECT_TRUE(test::is_gone(std::stoi(outcome.last_lines.substr(4))));
}

TEST_F(BochsTest, SaysWhyItDidNotStart) {
  machine_.emulator = (folder_.path() / "bochs").string();
  EXPECT_STREQ(failure_of([&] { BochsTarget(machine_, "/a.iso"); }).what(), (machine_.emulator + " is not here").c_str());
  test::write_script(machine_.emulator, "echo '[      ] bochsrc:3: cpu directive malformed.' >&2\nexit 1\n");
  const Failure failure = failure_of([&] { BochsTarget(machine_, "/a.iso"); });
  EXPECT_STREQ(failure.what(), "Bochs did not start");
  EXPECT_EQ(failure.hint(), "[      ] bochsrc:3: cpu directive malformed.\n");
}

TEST_F(BochsTest, ReportsErrorsAndPanicsOfItsLog) {
  const std::string log =
      "00000605364i[BXVGA ] VBE known Display Interface b0c0\n00000605396e[CPU0  ] RDMSR: Unknown register 1b\n"
      "00078187690p[UNMAP ] >>PANIC<< exception with no resolution\n";
  EXPECT_THAT(bochs_trouble(log), HasSubstr("RDMSR: Unknown register 1b\n"));
  EXPECT_THAT(bochs_trouble(log), HasSubstr(">>PANIC<< exception with no resolution\n"));
  EXPECT_THAT(bochs_trouble(log), Not(HasSubstr("BXVGA")));
  EXPECT_EQ(bochs_trouble("all well\n"), "");
}

}  // namespace
}  // namespace ax::xtask
