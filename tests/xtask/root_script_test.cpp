#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::HasSubstr;

/// The root script in a scratch tree, on a machine that has a shell and little else: PATH holds only what is put there.
class RootScriptTest : public ::testing::Test {
 protected:
  RootScriptTest() {
    fs::copy_file(AXVISOR_SOURCE_DIR "/xtask", tree_.root() / "xtask");
    tree_.write("cmake/packages.txt", "build cmake cmake # comment\nhost libx-dev /nonexistent/x.h\ntarget clang-19 clang-19\n");
    for (const char* tool : {"sh", "dirname", "env", "chmod"}) {
      fs::create_symlink(*find_program(tool), tree_.programs() / tool);
    }
    be("0");
    test::write_script(tree_.programs() / "apt-get",
                       "echo \"$DEBIAN_FRONTEND $*\" >>\"$LOG\"\n"
                       "[ \"$1\" = update ] || exit ${APT_STATUS:-0}\n");
    test::write_script(tree_.root() / "build/host/bin/xtask", "echo \"program in $AXVISOR_ROOT: $*\"\n");
  }
  /// The machine after the installation: cmake is there, and says what it is asked.
  void provide_cmake() const { test::write_script(tree_.programs() / "cmake", "echo \"cmake $*\" >>\"$LOG\"\n"); }
  void be(const std::string& user) const { test::write_script(tree_.programs() / "id", "echo " + user + "\n"); }
  EnvironmentChanges environment() const {
    return {{"PATH", tree_.programs().string()}, {"LOG", tree_.path("log").string()}, {"APT_STATUS", apt_status_}};
  }
  ProgramResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), (tree_.root() / "xtask").string());
    return test::run_program(arguments, environment());
  }
  std::string log() const { return fs::exists(tree_.path("log")) ? read_file(tree_.path("log")) : ""; }

  static constexpr const char* kInstall =
      "noninteractive update -q\n"
      "noninteractive install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 cmake libx-dev clang-19\n";
  test::ScratchTree tree_;
  std::string apt_status_ = "0";
};

TEST_F(RootScriptTest, InstallsEverythingAtOnceAsRootWithoutATerminal) {
  test::write_script(tree_.programs() / "apt-get",
                     "echo \"$DEBIAN_FRONTEND $*\" >>\"$LOG\"\n"
                     "printf '#!/bin/sh\\necho \"cmake $*\" >>\"$LOG\"\\n' >" + (tree_.programs() / "cmake").string() + "\n"
                     "chmod +x " + (tree_.programs() / "cmake").string() + "\n");
  const ProgramResult result = run({"qemu", "--smp", "2"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("xtask: to be installed: cmake libx-dev clang-19\n"));
  EXPECT_THAT(result.output, HasSubstr("program in " + tree_.root().string() + ": qemu --smp 2\n"));
  EXPECT_EQ(log(), std::string(kInstall) + "cmake -P " + (tree_.root() / "cmake/BuildHostTools.cmake").string() + " xtask\n");
}

TEST_F(RootScriptTest, RefusesToInstallWithNoInstall) {
  const ProgramResult result = run({"test", "--no-install"});
  EXPECT_EQ(result.status, 4);
  EXPECT_EQ(result.output,
            "error: missing packages: cmake libx-dev clang-19 (--no-install)\n"
            "hint: run: apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 cmake libx-dev clang-19\n");
  EXPECT_EQ(log(), "");
}

TEST_F(RootScriptTest, AsksOnATerminal) {
  test::TerminalProgram program({(tree_.root() / "xtask").string(), "build"}, environment());
  ASSERT_TRUE(program.wait_for("Install these packages? [y/N] ")) << program.output();
  program.type("n\n");
  EXPECT_EQ(program.finish(), 4);
  EXPECT_THAT(program.output(), HasSubstr("missing packages: cmake libx-dev clang-19 (not installed)"));
  EXPECT_EQ(log(), "");
}

TEST_F(RootScriptTest, InstallsOnATerminalAfterYes) {
  apt_status_ = "100";
  test::TerminalProgram program({(tree_.root() / "xtask").string(), "build"}, environment());
  ASSERT_TRUE(program.wait_for("Install these packages? [y/N] ")) << program.output();
  program.type("y\n");
  EXPECT_EQ(program.finish(), 4);
  EXPECT_EQ(log(), kInstall);
}

TEST_F(RootScriptTest, DoesNotAskWithYes) {
  apt_status_ = "100";
  test::TerminalProgram program({(tree_.root() / "xtask").string(), "build", "--yes"}, environment());
  EXPECT_EQ(program.finish(), 4);
  EXPECT_THAT(program.output(), Not(HasSubstr("[y/N]")));
  EXPECT_THAT(program.output(), HasSubstr("error: apt-get could not install: cmake libx-dev clang-19"));
  EXPECT_EQ(log(), kInstall);
}

TEST_F(RootScriptTest, GivesTheCommandWhereItMayNotInstall) {
  be("1000");
  test::write_script(tree_.programs() / "sudo", "exit 1\n");
  const ProgramResult result = run({"build"});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("(installing needs root, and sudo wants a password)\nhint: run: sudo apt-get install "));
  EXPECT_EQ(log(), "");
}

TEST_F(RootScriptTest, InstallsThroughSudo) {
  be("1000");
  apt_status_ = "100";
  test::write_script(tree_.programs() / "sudo", "[ \"$2\" = true ] && exit 0\nshift\nexec \"$@\"\n");
  EXPECT_EQ(run({"build"}).status, 4);
  EXPECT_EQ(log(), kInstall);
}

TEST_F(RootScriptTest, OnlyShowsTheCommandOnADryRun) {
  const ProgramResult result = run({"build", "--dry-run"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 cmake libx-dev clang-19\n");
  EXPECT_EQ(log(), "");
}

TEST_F(RootScriptTest, NamesThePackagesWhereThereIsNoApt) {
  fs::remove(tree_.programs() / "apt-get");
  const ProgramResult result = run({"build"});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("missing packages: cmake libx-dev clang-19 (there is no apt-get here"));
}

TEST_F(RootScriptTest, InstallsNothingForItselfWhereItCanBeBuilt) {
  // The cross toolchain is still missing: that is for the commands that need it.
  tree_.write("cmake/packages.txt", "build cmake cmake\ntarget clang-19 clang-19\n");
  provide_cmake();
  const ProgramResult result = run({"help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "program in " + tree_.root().string() + ": help\n");
}

TEST_F(RootScriptTest, FailsWhenItCannotBeBuilt) {
  tree_.write("cmake/packages.txt", "build cmake cmake\n");
  test::write_script(tree_.programs() / "cmake", "echo broken >&2\nexit 1\n");
  const ProgramResult result = run({"help"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "broken\n");
}

TEST_F(RootScriptTest, SaysThatAnotherBuildOfTheHostToolsIsWaitedFor) {
  fs::copy_file(AXVISOR_SOURCE_DIR "/cmake/BuildHostTools.cmake", tree_.root() / "cmake/BuildHostTools.cmake");
  const int fd = ::open((tree_.root() / "build/host/.host-tools.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(fd, F_SETLK, &lock), 0);
  test::TerminalProgram program({"cmake", "-P", (tree_.root() / "cmake/BuildHostTools.cmake").string(), "xtask"}, {});
  EXPECT_TRUE(program.wait_for("waiting for another build of the host tools")) << program.output();
  ::close(fd);
  EXPECT_NE(program.finish(), 0) << "this tree has nothing to build";
  EXPECT_THAT(program.output(), HasSubstr("configuring the host tools"));
}

}  // namespace
}  // namespace ax::xtask
