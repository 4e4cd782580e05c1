#include "tools/xtask/core/packages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kList = "build present-tool sh\nhost absent-dev /nonexistent/header.h # why\ntarget absent-tool absent-tool\n";

TEST(Packages, KnowsWhatIsMissing) {
  const std::vector<Package> all = parse_packages(kList, "list");
  const std::vector<Package> missing = missing_packages(all, {});
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].name, "absent-dev");
  constexpr std::array<std::string_view, 2> kGroups{"build", "target"};
  ASSERT_EQ(missing_packages(all, kGroups).size(), 1u);
}

TEST(Packages, NamesABadLine) {
  EXPECT_STREQ(test::failure_of([] { parse_packages("# fine\nbuild cmake\n", "list"); }).what(),
               "list:2: expected 'group package probe'");
}

TEST(Packages, ReadsTheProjectsOwnList) {
  const std::vector<Package> all =
      parse_packages(read_file(AXVISOR_SOURCE_DIR "/cmake/packages.txt"), "cmake/packages.txt");
  for (const std::string_view group : {"build", "host", "target", "emulators", "images"}) {
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const Package& package) { return package.group == group; }))
        << group;
  }
}

/// `xtask setup` with a fake apt-get that records what it is asked and "installs" by creating what the probe looks for.
class SetupTest : public ::testing::Test {
 protected:
  SetupTest() {
    tree_.write("cmake/packages.txt", "build cmake fake-cmake\nhost libx-dev fake-libx\n");
    test::write_script(tree_.programs() / "apt-get",
                       "echo \"$DEBIAN_FRONTEND $*\" >>\"$LOG\"\n"
                       "[ \"$1\" = update ] || exit ${APT_STATUS:-0}\n");
    test::write_script(tree_.programs() / "sudo", "exit 1\n");
  }
  test::ProgramResult setup(std::vector<std::string> options, EnvironmentChanges environment = {}) {
    environment["PATH"] = tree_.programs().string() + ":/usr/bin:/bin";
    environment["LOG"] = tree_.path("log").string();
    options.insert(options.begin(), "setup");
    return tree_.xtask(options, environment);
  }
  std::string log() { return std::filesystem::exists(tree_.path("log")) ? read_file(tree_.path("log")) : ""; }

  test::ScratchTree tree_;
};

TEST_F(SetupTest, InstallsWithoutAskingWhereNobodyCanAnswer) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  const test::ProgramResult result = setup({});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("to be installed: cmake libx-dev"));
  EXPECT_EQ(log(), "noninteractive update -q\n"
                   "noninteractive install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 cmake libx-dev\n");
}

TEST_F(SetupTest, NeverInstallsWithNoInstall) {
  const test::ProgramResult result = setup({"--no-install"});
  EXPECT_EQ(result.status, static_cast<int>(ExitCode::Environment));
  EXPECT_THAT(result.output, HasSubstr("missing packages: cmake libx-dev (--no-install)"));
  EXPECT_EQ(log(), "");
}

TEST_F(SetupTest, OnlyShowsTheCommandOnADryRun) {
  const test::ProgramResult result = setup({"--dry-run"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("apt-get install -y -q --no-install-recommends"));
  EXPECT_EQ(log(), "");
}

TEST_F(SetupTest, SaysInOneSentenceWhatAptCouldNotInstall) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  const test::ProgramResult result = setup({}, {{"APT_STATUS", "100"}});
  EXPECT_EQ(result.status, static_cast<int>(ExitCode::Environment));
  EXPECT_THAT(result.output, HasSubstr("error: apt-get could not install: cmake libx-dev\nhint: run: "));
}

TEST_F(SetupTest, SaysSoWhenNothingIsMissing) {
  tree_.write("cmake/packages.txt", "build shell sh\n");
  const test::ProgramResult result = setup({});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "xtask: nothing is missing\n");
}

}  // namespace
}  // namespace ax::xtask
