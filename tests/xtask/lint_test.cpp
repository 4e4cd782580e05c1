#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/xtask/support.hpp"
#include "tools/xtask/core/job_pool.hpp"
#include "tools/xtask/lint/checks.hpp"
#include "tools/xtask/lint/finding.hpp"
#include "tools/xtask/lint/matrix.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(LintFindings, ReadsWhatEveryCheckerWrites) {
  const std::vector<Finding> findings = parse_findings("clang-tidy",
                                                       "/tree/kernel/a.cpp:12:5: error: bad thing [bugprone-x,-warnings-as-errors]\n"
                                                       "/tree/kernel/a.cpp:3:1: note: it is declared here\n"
                                                       "12 |  int bad;\n"
                                                       "../elsewhere.sh:4: warning: Use [[ ]] or quote [SC2086]\n",
                                                       "/tree");
  EXPECT_THAT(findings,
              ElementsAre(Finding{"clang-tidy", "bugprone-x", Severity::Error, "kernel/a.cpp", 12, 5, "bad thing"},
                          Finding{"clang-tidy", "SC2086", Severity::Warning, "../elsewhere.sh", 4, 0, "Use [[ ]] or quote"}));
}

TEST(LintFindings, WhereCppcheckGivesUpIsANote) {
  const std::vector<Finding> findings =
      parse_findings("cppcheck", "a.cpp:1:2: error: syntax error [syntaxError]\na.cpp:1:2: error: gone [useAfterFree]\n", "/tree");
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].severity, Severity::Note);
  EXPECT_EQ(findings[1].severity, Severity::Error);
}

TEST(LintFindings, AFindingInAHeaderIsKeptOnce) {
  const Finding finding{"clang-tidy", "r", Severity::Error, "a.hpp", 1, 1, "m"};
  std::vector<Finding> all{finding};
  merge_findings(all, {finding, {"clang-tidy", "r", Severity::Error, "a.hpp", 1, 1, "another"}});
  EXPECT_EQ(all.size(), 2U);
}

TEST(LintFindings, SarifHasOneRunPerToolWithPlacesAndRules) {
  const nlohmann::json sarif = nlohmann::json::parse(to_sarif({{"clang-tidy", "rule-1", Severity::Error, "a b.cpp", 7, 3, "what"},
                                                               {"cppcheck", "", Severity::Warning, "/abs.cpp", 0, 0, "\xff"}},
                                                              {"clang-tidy", "cppcheck", "shellcheck"}, "/tree"));
  EXPECT_EQ(sarif["version"], "2.1.0");
  ASSERT_EQ(sarif["runs"].size(), 3U);
  const nlohmann::json& first = sarif["runs"][0]["results"][0];
  EXPECT_EQ(first["ruleId"], "rule-1");
  EXPECT_EQ(first["level"], "error");
  EXPECT_EQ(first["locations"][0]["physicalLocation"]["region"]["startLine"], 7);
  EXPECT_EQ(first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "a%20b.cpp");
  EXPECT_EQ(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "rule-1");
  EXPECT_FALSE(sarif["runs"][1]["results"][0]["locations"][0]["physicalLocation"].contains("region"));
  EXPECT_THAT(sarif["runs"][2]["results"], IsEmpty());
}

TEST(LintFormat, TakesTheNewSideOfADiff) {
  const ChangedLines lines = parse_diff("--- a/x.cpp\n+++ b/x.cpp\n@@ -1,2 +3,4 @@ f()\n@@ -9 +12 @@\n@@ -20,3 +22,0 @@\n"
                                        "--- a/gone.cpp\n+++ /dev/null\n@@ -1,3 +0,0 @@\n"
                                        "--- a/y.md\n+++ b/y.md\n@@ -1 +1 @@\n");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines.at("x.cpp"), ElementsAre(std::pair(3U, 6U), std::pair(12U, 12U)));
}

TEST(LintMatrix, ReplacesTheFeaturesOfABoard) {
  EXPECT_EQ(with_features("a = 1\nfeatures = [\n  \"x\", # y\n]\nb = 2\n", {"p", "q"}), "a = 1\nfeatures = [\"p\", \"q\"]\nb = 2\n");
  EXPECT_EQ(with_features("a = 1\n", {"p"}), "features = [\"p\"]\na = 1\n");
}

TEST(LintMatrix, KnowsTheNamesThatAxVisorUsers) {
  EXPECT_THAT(resolve_packages({"axvisor", "axruntime"}), ElementsAre("kernel", "platforms", "hypervisor"));
  EXPECT_THAT(test::failure_of([] { resolve_packages({"kernl"}); }).what(), HasSubstr("unknown package 'kernl'; did you mean 'kernel'?"));
}

TEST(JobPool, RunsEverythingAndCollectsBothOutputs) {
  std::vector<Argv> commands;
  for (int i = 0; i < 5; ++i) {
    commands.push_back({"sh", "-c", "echo out$0; echo err$0 >&2; exit $0", std::to_string(i)});
  }
  std::vector<std::string> outputs(commands.size());
  run_jobs(commands, "/", 2, [&](size_t index, const CapturedOutput& result) {
    outputs[index] = result.output;
    EXPECT_EQ(result.status, static_cast<int>(index));
    return true;
  });
  EXPECT_EQ(outputs[4], "out4\nerr4\n");
}

TEST(JobPool, StopsWhenItsOwnerHasSeenEnough) {
  int ended = 0;
  run_jobs({{"true"}, {"sleep", "1000"}, {"true"}}, "/", 2, [&](size_t, const CapturedOutput&) { return ++ended < 2; });
  EXPECT_EQ(ended, 2);
}

/// A tree with one source in kernel/, checkers that complain where the source says so, and a cmake that only leaves
/// compile_commands.json.
class ClippyTest : public ::testing::Test {
 protected:
  ClippyTest() {
    tree_.write("kernel/a.cpp", "int a;\n");
    tree_.write("tools/b.cpp", "int b;\n");
    tree_.write(".cppcheck-suppressions", "");
    tree_.write("run.sh", "#!/bin/sh\necho\n");
    test::write_script(tree_.programs() / "cmake", R"(
for word; do case $word in */build/*) folder=$word ;; -B) ;; esac; done
for word; do [ "$previous" = -B ] && folder=$word; previous=$word; done
mkdir -p "$folder"
printf '[{"file": "%s/kernel/a.cpp"}, {"file": "%s/tools/b.cpp"}, {"file": "/usr/x.cpp"}]' "$PWD" "$PWD" >"$folder/compile_commands.json"
)");
    // Each checker complains about files that contain BAD.
    for (const char* tool : {"clang-tidy-19", "clang-format-19", "shellcheck"}) {
      test::write_script(tree_.programs() / tool, R"(
status=0
for word; do
  [ -f "$word" ] && grep -q BAD "$word" && { echo "$PWD/$word:1:1: error: it is bad [rule]"; status=1; }
  [ "$word" = --fix ] && echo fixed >>fixed
done
exit $status
)");
    }
    test::write_script(tree_.programs() / "cppcheck", "exit 0\n");
    git({"init", "-q", "-b", "main"});
    git({"add", "."});
    git({"commit", "-qm", "all"});
  }
  void git(Argv words) const {
    words.insert(words.begin(), {"git", "-c", "user.name=x", "-c", "user.email=x@x"});
    ASSERT_EQ(test::run_program(words, {}, tree_.root()).status, 0);
  }
  ProgramResult clippy(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"clippy", "--no-install"});
    return tree_.xtask(arguments, {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}});
  }

  test::ScratchTree tree_;
};

TEST_F(ClippyTest, PassesWhereNobodyComplains) {
  const ProgramResult result = clippy({});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("tidy        kernel      aarch64-unknown-none-softfloat ept-level-4"));
  EXPECT_THAT(result.output, HasSubstr(" passed, 0 failed, 0 not run\n"));
}

TEST_F(ClippyTest, StopsAtTheFirstFailureUnlessToldOtherwise) {
  tree_.write("kernel/a.cpp", "BAD\n");
  const ProgramResult first = clippy({"--checks", "tidy", "--targets", "host"});
  EXPECT_EQ(first.status, 1);
  EXPECT_THAT(first.output, HasSubstr("kernel/a.cpp:1:1: error: it is bad [rule]\n"));
  EXPECT_THAT(first.output, HasSubstr("0 passed, 1 failed, 4 not run\n"));
  EXPECT_THAT(clippy({"--checks", "tidy", "--targets", "host", "--continue-on-error"}).output, HasSubstr("4 passed, 1 failed, 0 not run\n"));
}

TEST_F(ClippyTest, WritesSarifAlsoOfAFailure) {
  tree_.write("kernel/a.cpp", "BAD\n");
  EXPECT_EQ(clippy({"--targets", "host", "--sarif", "out.sarif"}).status, 1);
  const nlohmann::json sarif = nlohmann::json::parse(read_file(tree_.root() / "out.sarif"));
  EXPECT_EQ(sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "kernel/a.cpp");
}

TEST_F(ClippyTest, JudgesTheFormatOfChangedFilesOnly) {
  tree_.write("kernel/old.cpp", "BAD\n");
  git({"add", "."});
  git({"commit", "-qm", "old sins"});
  EXPECT_EQ(clippy({"--checks", "format"}).status, 0);
  EXPECT_EQ(clippy({"--checks", "format", "--all-lines"}).status, 1);
  EXPECT_EQ(clippy({"--checks", "format", "--since", "HEAD~1"}).status, 1);
  tree_.write("kernel/new.cpp", "BAD\n");
  EXPECT_THAT(clippy({"--checks", "format"}).output, HasSubstr("kernel/new.cpp:1:1"));
}

TEST_F(ClippyTest, FixNeedsACommittedTreeOrPermission) {
  tree_.write("kernel/a.cpp", "int c;\n");
  const ProgramResult refused = clippy({"--fix", "--checks", "tidy", "--targets", "host"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("there are uncommitted ones\nhint: commit or stash them, or say --allow-dirty"));
  EXPECT_FALSE(fs::exists(tree_.root() / "fixed"));
  EXPECT_EQ(clippy({"--fix", "--allow-dirty", "--checks", "tidy", "--targets", "host"}).status, 0);
  EXPECT_TRUE(fs::exists(tree_.root() / "fixed"));
}

TEST_F(ClippyTest, DryRunPrintsTheCommandsAndRunsNone) {
  const ProgramResult result = clippy({"--dry-run"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("cmake --preset host -B "));
  EXPECT_THAT(result.output, HasSubstr("clang-tidy-19 -p "));
  EXPECT_THAT(result.output, HasSubstr("shellcheck -f gcc -S warning run.sh"));
  EXPECT_FALSE(fs::exists(tree_.root() / "build"));
}

TEST_F(ClippyTest, SuggestsWhatWasMeant) {
  EXPECT_THAT(clippy({"--targets", "aarch65"}).output, HasSubstr("unknown target 'aarch65'; did you mean 'aarch64'?"));
  EXPECT_THAT(clippy({"--checks", "tdy"}).output, HasSubstr("unknown check 'tdy'; did you mean 'tidy'?"));
}

TEST_F(ClippyTest, ACheckerThatCannotRunIsNoPass) {
  test::write_script(tree_.programs() / "clang-tidy-19", "echo broken >&2; exit 1\n");
  const ProgramResult result = clippy({"--checks", "tidy", "--targets", "host"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("clang-tidy-19 failed (status 1):\nbroken"));
}

}  // namespace
}  // namespace ax::xtask
