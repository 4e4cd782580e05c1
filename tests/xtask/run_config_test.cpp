#include "tools/xtask/run/run_config.hpp"

#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

using test::failure_of;

class RunConfigTest : public ::testing::Test {
 protected:
  RunConfig load(std::string_view text, const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
    write_file(file_, text);
    return load_run_config(file_, overrides, variables_);
  }
  /// The message without the file's name in front.
  std::string error(std::string_view text, const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
    const std::string message = failure_of([&] { load(text, overrides); }).what();
    const size_t start = message.find(file_.string());
    return start == 0 ? message.substr(file_.string().size()) : message;
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "run.toml";
  Variables variables_{12345};
};

TEST_F(RunConfigTest, ReadsTheFormOfOlderFiles) {
  const RunConfig config = load(R"(
    args = ["-nographic", "-m", "8g"]
    uefi = false
    to_bin = true
    success_regex = ["Welcome"]
    fail_regex = []
  )");
  EXPECT_EQ(config.machine.args, (std::vector<std::string>{"-nographic", "-m", "8g"}));
  EXPECT_EQ(config.machine.kernel, KernelSource::Bin);
  EXPECT_EQ(config.script.success_regex, std::vector<std::string>{"Welcome"});
  EXPECT_FALSE(config.script.timeout);
}

TEST_F(RunConfigTest, SubstitutesInEveryString) {
  variables_.define("workspaceFolder", "/tree");
  const RunConfig config = load(R"(
    args = ["-drive", "file=${workspaceFolder}/disk"]
    [[steps]]
    expect = "~ # "
    send = "echo $(( ${nonce} * 7 ))\n"
    [[steps]]
    expect = "^${nonce7}$"
    timeout = 2.5
  )");
  EXPECT_EQ(config.machine.args[1], "file=/tree/disk");
  EXPECT_EQ(config.script.steps[0].send, "echo $(( 12345 * 7 ))\n");
  EXPECT_EQ(config.script.steps[1].expect, "^86415$");
  EXPECT_EQ(config.script.steps[1].timeout, Seconds(2.5));
  EXPECT_EQ(config.script.steps[1].name, "step 2");
}

TEST_F(RunConfigTest, TrimsTheShellKeys) {
  const RunConfig config = load("shell_prefix = ' ~ # '\nshell_init_cmd = ' pwd\\n'");
  EXPECT_EQ(config.script.shell_prefix, "~ #");
  EXPECT_EQ(load("shell_prefix = \"~ #\"\nshell_init_cmd = \" pwd\\n\"").script.shell_init_cmd, "pwd");
}

TEST_F(RunConfigTest, TakesZeroTimeoutAsNone) { EXPECT_FALSE(load("timeout = 0").script.timeout); }

TEST_F(RunConfigTest, LetsOverridesWin) {
  const RunConfig config = load("smp = 4\ncpu = 'cortex-a72'", {{"smp", "2"}, {"cpu", "max"}, {"timeout", "1.5"}});
  EXPECT_EQ(config.machine.smp, 2);
  EXPECT_EQ(config.machine.cpu, "max");
  EXPECT_EQ(config.script.timeout, Seconds(1.5));
  EXPECT_EQ(error("", {{"gic_versoin", "2"}}), "--set gic_versoin: unknown key; did you mean 'gic_version'?");
}

TEST_F(RunConfigTest, RefusesWhatItCannotDo) {
  EXPECT_EQ(error("uefi = true\nkernel = \"none\""),
            ":1: 'uefi': UEFI firmware boots an image of its own choice: not with kernel = \"loader\" or \"none\"");
  EXPECT_EQ(error("shell_init_cmd = 'ls'"), ":1: 'shell_init_cmd': needs shell_prefix: the prompt to wait for");
  EXPECT_EQ(error("load_address = 0x40000000"), ":1: 'load_address': has no effect unless kernel = \"loader\"");
  EXPECT_EQ(error("kernel = 'loader'"), ":1: 'kernel': \"loader\" needs load_address");
  EXPECT_EQ(error("kernel = 'elf'\nto_bin = true"), ":1: 'kernel': \"elf\" contradicts to_bin = true");
  EXPECT_EQ(error("kernel = 'efl'"), ":1: 'kernel': must be \"elf\", \"bin\", \"loader\", \"iso\" or \"none\"");
  EXPECT_EQ(error("timeout = -1"), ":1: 'timeout': must not be negative (seconds; 0 = none)");
  EXPECT_EQ(error("smp = 0"), ":1: 'smp': must be at least 1");
}

TEST_F(RunConfigTest, NamesBadExpressionsAndKeys) {
  EXPECT_EQ(error("fail_regex = ['(']"), ":1: 'fail_regex': '(' is not a regular expression: missing ): (");
  EXPECT_EQ(error("sucess_regex = []"), ":1: 'sucess_regex': unknown key; did you mean 'success_regex'?");
  EXPECT_EQ(error("[[steps]]\nexpect = 'a'\nsned = 'b'"), ":3: 'sned': unknown key; did you mean 'send'?");
  EXPECT_EQ(error("[[steps]]\nsend = 'b'"), ": 'expect' is missing");
}

TEST_F(RunConfigTest, WantsAReasonForAnExpectedFailure) {
  EXPECT_TRUE(load("verdict = 'fail'\nfail_reason = '^timeout'").script.expect_failure);
  const std::string together = "verdict = \"fail\" and fail_reason (timeout, fail_regex or exit) go together";
  EXPECT_EQ(error("verdict = 'fail'"), ":1: 'verdict': " + together);
  EXPECT_EQ(error("fail_reason = 'exit'"), ":1: 'fail_reason': " + together);
}

}  // namespace
}  // namespace ax::xtask
