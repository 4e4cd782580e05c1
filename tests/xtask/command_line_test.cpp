#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/xtask/support.hpp"
#include "tools/xtask/command/command.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CommandLineTest : public ::testing::Test {
 protected:
  test::ScratchTree tree_;
};

void check_table(std::span<const Command> commands) {
  std::set<std::string_view> names;
  for (const Command& command : commands) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " twice";
    EXPECT_FALSE(command.summary.empty()) << command.name;
    EXPECT_FALSE(command.summary.ends_with('.')) << command.name;
    EXPECT_TRUE(command.declare != nullptr || !command.children.empty()) << command.name;
    EXPECT_TRUE(command.declare == nullptr || !command.examples.empty()) << command.name << " has no example";
    check_table(command.children);
  }
}

TEST_F(CommandLineTest, DescribesEveryCommandWithExamples) { check_table(command_table()); }

TEST_F(CommandLineTest, ListsEveryCommandInItsHelp) {
  const ProgramResult help = tree_.xtask({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const Command& command : command_table()) {
    EXPECT_THAT(help.output, HasSubstr(std::string(command.name))) << command.name;
    const ProgramResult own = tree_.xtask({std::string(command.name), "--help"});
    EXPECT_EQ(own.status, 0) << own.output;
    EXPECT_EQ(tree_.xtask({"help", std::string(command.name)}).output, own.output);
  }
}

TEST_F(CommandLineTest, SuggestsCommandsAndOptions) {
  const ProgramResult command = tree_.xtask({"qmeu"});
  EXPECT_EQ(command.status, 2);
  EXPECT_EQ(command.output, "error: unknown command 'qmeu'; did you mean 'qemu'?\nhint: ./xtask --help lists the commands\n");
  const ProgramResult option = tree_.xtask({"qemu", "--vmconfig", "x"});
  EXPECT_EQ(option.status, 2);
  EXPECT_THAT(option.output, HasSubstr("unknown option '--vmconfig'; did you mean '--vmconfigs'?"));
  const ProgramResult nested = tree_.xtask({"image", "fecth"});
  EXPECT_EQ(nested.status, 2);
  EXPECT_THAT(nested.output, HasSubstr("unknown command 'fecth'; did you mean 'fetch'?"));
  EXPECT_THAT(tree_.xtask({"help", "buidl"}).output, HasSubstr("did you mean 'build'?"));
}

TEST_F(CommandLineTest, RefusesBadValues) {
  const ProgramResult smp = tree_.xtask({"build", "--smp", "many"});
  EXPECT_EQ(smp.status, 2);
  EXPECT_THAT(smp.output, HasSubstr("--smp: Value many not in range 1 to 64"));
  EXPECT_EQ(tree_.xtask({"run"}).status, 2);
  EXPECT_EQ(tree_.xtask({"image"}).status, 2);
}

TEST_F(CommandLineTest, UsesNoColourWithoutATerminal) {
  EXPECT_THAT(tree_.xtask({"qmeu"}, {{"TERM", "xterm"}}).output, Not(HasSubstr("\x1b")));
}

TEST_F(CommandLineTest, UsesColourOnATerminalThatWantsIt) {
  const EnvironmentChanges environment{{"AXVISOR_ROOT", tree_.root().string()}, {"TERM", "xterm"}, {"NO_COLOR", std::nullopt}};
  test::TerminalProgram coloured({XTASK_PROGRAM, "qmeu"}, environment);
  EXPECT_EQ(coloured.finish(), 2);
  EXPECT_THAT(coloured.output(), HasSubstr("\x1b[1;31merror: "));
}

TEST_F(CommandLineTest, ShowsTheExactBuildCommands) {
  const std::string root = tree_.root().string();
  tree_.write("a.toml", "");
  const ProgramResult result = tree_.xtask({"build", "--dry-run", "--vmconfigs", "a.toml", "--smp", "2", "-q"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output,
            fmt::format("cmake --preset qemu-aarch64 -B {0}/build/qemu-aarch64 -DAXVISOR_BOARD=qemu-aarch64"
                        " -DAXVISOR_CONFIG_PATH= -DAXVISOR_SMP=2 -DAXVISOR_VM_CONFIGS={0}/a.toml\n"
                        "cmake --build {0}/build/qemu-aarch64 --target axvisor compile-commands -- --quiet\n",
                        root));
}

TEST_F(CommandLineTest, ConfiguresAgainOnlyWhenAValueChanges) {
  const std::string folder = (tree_.root() / "build/qemu-aarch64").string();
  write_file(folder + "/build.ninja", "");
  write_file(folder + "/CMakeCache.txt",
             "AXVISOR_BOARD:STRING=qemu-aarch64\nAXVISOR_CONFIG_PATH:UNINITIALIZED=\nAXVISOR_SMP:UNINITIALIZED=4\n"
             "AXVISOR_VM_CONFIGS:UNINITIALIZED=\n");
  EXPECT_THAT(tree_.xtask({"build", "--dry-run", "-q", "--smp", "4"}).output, StartsWith("cmake --build"));
  EXPECT_THAT(tree_.xtask({"build", "--dry-run", "-q"}, {{"AXVISOR_SMP", "4"}}).output, StartsWith("cmake --build"));
  EXPECT_THAT(tree_.xtask({"build", "--dry-run", "-q", "--smp", "2"}).output, StartsWith("cmake --preset"));
}

TEST_F(CommandLineTest, ForgetsAConfigurationMadeUnderAnotherName) {
  const std::string root = tree_.root().string(), folder = root + "/build/qemu-aarch64";
  const auto command_after = [&](const std::string& home, const std::string& at) {
    write_file(folder + "/build.ninja", "");
    write_file(folder + "/CMakeCache.txt",
               fmt::format("AXVISOR_BOARD:STRING=qemu-aarch64\nAXVISOR_CONFIG_PATH:UNINITIALIZED=\nAXVISOR_SMP:UNINITIALIZED=\n"
                           "AXVISOR_VM_CONFIGS:UNINITIALIZED=\nCMAKE_HOME_DIRECTORY:INTERNAL={}\nCMAKE_CACHEFILE_DIR:INTERNAL={}\n",
                           home, at));
    return tree_.xtask({"build", "--dry-run", "-q"}).output;
  };
  EXPECT_THAT(command_after(root, folder), StartsWith("cmake --build"));
  EXPECT_THAT(command_after("/its/old/name", folder), StartsWith("cmake --fresh --preset qemu-aarch64"));
  EXPECT_THAT(command_after(root, root + "/build/old"), StartsWith("cmake --fresh --preset qemu-aarch64"));
}

TEST_F(CommandLineTest, BuildsAnEditedBoardFromItsFile) {
  tree_.write(".build.toml", "# board: qemu-aarch64\ntarget = \"aarch64-unknown-none-softfloat\"\nto_bin = true\nsmp = 3\n");
  const ProgramResult result = tree_.xtask({"qemu", "--dry-run", "-q"});
  EXPECT_THAT(result.output, HasSubstr("-DAXVISOR_BOARD=" + (tree_.root() / ".build.toml").string()));
  EXPECT_THAT(result.output, HasSubstr("qemu-system-aarch64 -nographic -machine virt -smp 3 -accel tcg -kernel "));
}

TEST_F(CommandLineTest, SaysSoWhenQemuWantsAFlatImageThatTheBoardDoesNotBuild) {
  tree_.write("configs/board/qemu-aarch64.toml", "target = \"aarch64-unknown-none-softfloat\"\n");
  const ProgramResult result = tree_.xtask({"qemu", "--dry-run", "-q"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("wants axvisor.bin, which the board qemu-aarch64 does not build (to_bin = false)"));
}

TEST_F(CommandLineTest, BuildsABoardWithoutAPreset) {
  tree_.write("configs/board/mine.toml", "target = \"aarch64-unknown-none-softfloat\"\n");
  EXPECT_EQ(tree_.xtask({"defconfig", "mine"}).status, 0);
  EXPECT_THAT(tree_.xtask({"build", "--debug", "--dry-run", "-q"}).output,
              StartsWith(fmt::format("cmake -S {0} -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DCMAKE_BUILD_TYPE=Debug "
                                     "-B {0}/build/mine-debug -DAXVISOR_BOARD=mine", tree_.root().string())));
}

TEST_F(CommandLineTest, KeepsTheUsersCompilersOutOfBuilds) {
  const ProgramResult result = tree_.xtask({"build", "--dry-run", "-q"}, {{"CC", "weird-cc"}, {"CXXFLAGS", "-O0"}});
  EXPECT_THAT(result.output, StartsWith("env -u CC -u CXXFLAGS cmake --preset"));
}

TEST_F(CommandLineTest, PrefersTheUsersQemuConfiguration) {
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run", "-q", "--gdb"}).output, HasSubstr("qemu-system-aarch64 -nographic -machine virt -accel tcg -s -S -kernel"));
  tree_.write(".qemu-aarch64.toml", "args = ['-display', 'none']\n");
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run", "-q"}).output, HasSubstr("qemu-system-aarch64 -display none"));
  tree_.write("other.toml", "args = ['-m', '4G']\n");
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run", "-q", "--qemu-config", "other.toml"}).output, HasSubstr("-m 4G"));
}

TEST_F(CommandLineTest, FailsOnAMissingVmFile) {
  const ProgramResult result = tree_.xtask({"build", "--vmconfigs", "missing.toml"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--vmconfigs: no such file: " + (tree_.root() / "missing.toml").string()));
}

TEST_F(CommandLineTest, RemovesOnlyTheFoldersOfTheTarget) {
  const auto folder = [&](const std::string& name, const std::string& target) {
    tree_.write("build/" + name + "/CMakeCache.txt", "CMAKE_TOOLCHAIN_FILE:FILEPATH=/t/" + target + ".cmake\n");
  };
  folder("qemu-aarch64", "aarch64-unknown-none-softfloat");
  folder("qemu-aarch64-debug", "aarch64-unknown-none-softfloat");
  folder("other", "x86_64-unknown-none");
  tree_.write("build/host/CMakeCache.txt", "CMAKE_BUILD_TYPE:STRING=Release\n");
  EXPECT_EQ(tree_.xtask({"clean", "--target", "x86_64-unknown-none"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(tree_.root() / "build/other"));
  EXPECT_EQ(tree_.xtask({"clean"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(tree_.root() / "build/qemu-aarch64-debug"));
  EXPECT_TRUE(std::filesystem::exists(tree_.root() / "build/host"));
  EXPECT_EQ(tree_.xtask({"clean", "--target", "hots"}).output, "error: no build folder for 'hots'; did you mean 'host'?\nhint: there are: host\n");
  EXPECT_EQ(tree_.xtask({"clean", "--all"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(tree_.root() / "build"));
}

/// A fake cmake and ctest: `xtask test` without building anything.
TEST_F(CommandLineTest, EndsWithOneLineOfCounts) {
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  test::write_script(tree_.programs() / "ctest", R"(
preset=$2
while [ "$1" != --output-junit ]; do shift; done
mkdir -p "${2%/*}"
printf '<testcase name="a" status="run">\n<testcase name="b" status="run">\n' >"$2"
case $preset in host*) exit ;; esac
{ printf '<testcase name="c" status="fail">\n' >>"$2"; exit 8; }
)");
  const EnvironmentChanges environment{{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}};
  const ProgramResult host = tree_.xtask({"test", "-q", "--preset", "host"}, environment);
  EXPECT_EQ(host.status, 0) << host.output;
  EXPECT_THAT(host.output, ::testing::EndsWith("2 passed, 0 failed\n"));
  const ProgramResult both = tree_.xtask({"test", "-q", "--preset", "host", "--preset", "qemu-aarch64"}, environment);
  EXPECT_EQ(both.status, 1);
  EXPECT_THAT(both.output, ::testing::EndsWith("4 passed, 1 failed\n"));
}

TEST_F(CommandLineTest, SuggestsALabel) {
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  test::write_script(tree_.programs() / "ctest", R"(
case "$*" in *--print-labels*) printf 'Test project x\nAll Labels:\n  boot\n  lint\n'; exit ;; esac
while [ "$1" != --output-junit ]; do shift; done
mkdir -p "${2%/*}"
: >"$2"
)");
  const ProgramResult result = tree_.xtask({"test", "-q", "--preset", "host", "-L", "lnit"},
                                           {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("error: no test was selected; did you mean 'lint'?\nhint: labels: boot, lint\n"));
}

/// One test fails always, the other only the first time.
TEST_F(CommandLineTest, TriesAgainWhatFailedAndNamesIt) {
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  test::write_script(tree_.programs() / "ctest", R"(
status=fail
case "$*" in *--rerun-failed*) status=run ;; esac
while [ "$1" != --output-junit ]; do shift; done
mkdir -p "${2%/*}"
{
  [ $status = run ] || echo '<testcase name="good" status="run"></testcase>'
  echo "<testcase name=\"shaky\" status=\"$status\"></testcase>"
  echo '<testcase name="bad" status="fail"></testcase>'
} >"$2"
exit 8
)");
  const EnvironmentChanges environment{{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}};
  const ProgramResult once = tree_.xtask({"test", "-q", "--preset", "host"}, environment);
  EXPECT_EQ(once.status, 1);
  EXPECT_THAT(once.output, ::testing::EndsWith("failed: shaky (host)\nfailed: bad (host)\n1 passed, 2 failed\n"));
  const ProgramResult twice = tree_.xtask({"test", "-q", "--preset", "host", "--retry"}, environment);
  EXPECT_EQ(twice.status, 1);
  EXPECT_THAT(twice.output,
              ::testing::EndsWith("unsteady, passed when tried again: shaky (host)\nfailed: bad (host)\n2 passed, 1 failed\n"));
}

TEST_F(CommandLineTest, TestsEveryPresetThatIsNoVariant) {
  const std::string output = tree_.xtask({"test", "--dry-run"}).output;
  for (const std::string preset : {"host", "host-asan", "qemu-aarch64", "qemu-x86_64", "qemu-riscv64", "orangepi-5-plus", "phytiumpi", "roc-rk3568-pc"}) {
    EXPECT_THAT(output, HasSubstr("ctest --preset " + preset + " "));
  }
}

TEST_F(CommandLineTest, TakesASkippedTestForAFailureWhenTold) {
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  test::write_script(tree_.programs() / "ctest", R"(
while [ "$1" != --output-junit ]; do shift; done
mkdir -p "${2%/*}"
printf '<testcase name="a" status="run">\n<testcase name="b" status="notrun">\n<skipped message="SKIP_RETURN_CODE=77"/>\n' >"$2"
)");
  const EnvironmentChanges environment{{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}};
  const ProgramResult lenient = tree_.xtask({"test", "-q", "--preset", "host"}, environment);
  EXPECT_EQ(lenient.status, 0);
  EXPECT_THAT(lenient.output, ::testing::EndsWith("1 passed, 0 failed, 1 skipped\n"));
  const ProgramResult strict = tree_.xtask({"test", "-q", "--preset", "host", "--no-skip"}, environment);
  EXPECT_EQ(strict.status, 1);
  EXPECT_THAT(strict.output, HasSubstr("error: tests were skipped"));
}

TEST_F(CommandLineTest, FailsWhereItsOutputCannotBeWritten) {
  const std::string full = "'" XTASK_PROGRAM "' help --markdown >/dev/full";
  const ProgramResult result = test::run_program({"/bin/sh", "-c", full}, {{"AXVISOR_ROOT", tree_.root().string()}});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "error: cannot write the output: No space left on device\n");
}

TEST_F(CommandLineTest, ShowsTheLineOfABrokenFile) {
  tree_.write(".build.toml", "smp = 2\n\ttarget = \"x\nlog = 1\n");
  const ProgramResult result = tree_.xtask({"build", "--dry-run"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr(".build.toml:2:13: "));
  EXPECT_THAT(result.output, HasSubstr("\n    2 | \ttarget = \"x\n      | \t           ^\n"));
}

TEST_F(CommandLineTest, ReadsNothingThatIsNoConfigurationFile) {
  const fs::path file = tree_.root() / ".build.toml";
  write_file(file, "");
  fs::resize_file(file, 64 << 20);
  EXPECT_THAT(tree_.xtask({"build", "--dry-run"}).output, HasSubstr(".build.toml is larger than 4 MiB: this is no configuration file"));
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_THAT(tree_.xtask({"build", "--dry-run"}).output, HasSubstr(".build.toml is a folder, not a file"));
  EXPECT_THAT(tree_.xtask({"vmconfig", "check", "/dev/null"}).output, HasSubstr("/dev/null is no regular file"));
}

TEST_F(CommandLineTest, SaysWhereAMisspeltVariableStands) {
  tree_.write(".qemu-aarch64.toml", "timeout = 1\nargs = [\"${workspceFolder}\"]\n");
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run"}).output,
              HasSubstr(".qemu-aarch64.toml:2: 'args': unknown variable ${workspceFolder}; did you mean 'workspaceFolder'?"));
}

TEST_F(CommandLineTest, BlamesTheOptionForAWrongValueOfAKey) {
  EXPECT_THAT(tree_.xtask({"build", "--dry-run", "--set", "smp=banana"}).output, HasSubstr("error: --set: 'smp': must be an integer"));
  EXPECT_THAT(tree_.xtask({"build", "--dry-run", "--set", "smp=true"}).output, HasSubstr("error: --set: 'smp': must be an integer"));
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run", "--set", "timeout=soon"}).output, HasSubstr("error: --set: 'timeout': must be "));
}

TEST_F(CommandLineTest, SuggestsTheNameOfAVmFile) {
  tree_.write("configs/vms/linux-smp1.toml", "");
  const ProgramResult result = tree_.xtask({"qemu", "--dry-run", "--vmconfigs", "linux-smp"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("did you mean 'linux-smp1'? (configs/vms)\nhint: ./xtask config ls lists the virtual machines"));
}

TEST_F(CommandLineTest, SpeaksOfAFolderWhereOneIsMissing) {
  EXPECT_THAT(tree_.xtask({"app", "check", "/nonexistent/x"}).output, HasSubstr("error: DIR: no such folder: /nonexistent/x, nor /nonexistent"));
}

TEST_F(CommandLineTest, SaysHowToGetATarget) {
  tree_.write(".build.toml", "smp = 2\n");
  const ProgramResult result = tree_.xtask({"build", "--dry-run"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr(".build.toml: 'target' is missing\nhint: ./xtask defconfig BOARD writes a complete file"));
}

TEST_F(CommandLineTest, SuggestsAPreset) {
  const ProgramResult result = tree_.xtask({"test", "--preset", "hots"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("unknown preset 'hots'; did you mean 'host'?"));
}

TEST_F(CommandLineTest, CountsABuildThatFailsAsAFailure) {
  test::write_script(tree_.programs() / "cmake", "exit 1\n");
  const ProgramResult result =
      tree_.xtask({"test", "-q", "--preset", "host"}, {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "error: configuring host failed (status 1)\n0 passed, 1 failed\n");
}

TEST_F(CommandLineTest, LeavesNoBuildBehindAfterCtrlC) {
  test::write_script(tree_.programs() / "cmake", "trap '' TERM\necho \"pid $$\"\nsleep 1000\nsleep 1000\n");
  test::TerminalProgram program({XTASK_PROGRAM, "build", "-q"},
                                {{"AXVISOR_ROOT", tree_.root().string()},
                                 {"PATH", tree_.programs().string() + ":/usr/bin:/bin"}});
  ASSERT_TRUE(program.wait_for("pid ")) << program.output();
  ASSERT_TRUE(program.wait_for("\n")) << program.output();
  program.type("\x03");
  EXPECT_EQ(program.finish(), static_cast<int>(ExitCode::Interrupted)) << program.output();
  EXPECT_TRUE(test::is_gone(std::stoi(program.output().substr(program.output().find("pid ") + 4))));
}

}  // namespace
}  // namespace ax::xtask
