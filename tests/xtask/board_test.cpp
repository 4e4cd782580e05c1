#include "tools/xtask/build/board.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;

class BoardTest : public ::testing::Test {
 protected:
  test::ScratchTree tree_;
  const std::chrono::system_clock::time_point now_{std::chrono::sys_days{std::chrono::year{2026} / 3 / 4} +
                                                   std::chrono::hours(5) + std::chrono::minutes(6) +
                                                   std::chrono::seconds(7)};
};

TEST_F(BoardTest, UsesTheDefaultBoardWithoutAChoice) {
  const Board board = current_board(tree_.root());
  EXPECT_FALSE(board.chosen);
  EXPECT_EQ(board.name, "qemu-aarch64");
  EXPECT_EQ(board.cmake_value, "qemu-aarch64");
  EXPECT_EQ(board.arch(), "aarch64");
  EXPECT_TRUE(board.to_bin);
}

TEST_F(BoardTest, KnowsBoardsAndPlatformsOfOtherFolders) {
  const fs::path other = tree_.path("other");
  write_file(other / "board/mine.toml", "platform = \"lab\"\n");
  write_file(other / "platforms/lab/platform.toml", "description = \"x\"\ntargets = [\"x86_64-unknown-none\"]\n");
  const test::ScopedEnvironment path("AXVISOR_CONFIG_PATH", "/nonexistent:" + other.string());
  EXPECT_EQ(std::ranges::count(board_names(tree_.root()), "mine"), 1);
  write_default_config(tree_.root(), "mine", now_);
  EXPECT_EQ(current_board(tree_.root()).name, "mine");
  EXPECT_EQ(current_board(tree_.root()).cmake_value, "mine");
  EXPECT_EQ(current_board(tree_.root()).arch(), "x86_64");
  write_file(other / "board/mine.toml", "platform = \"leb\"\n");
  write_default_config(tree_.root(), "mine", now_);
  EXPECT_NE(std::string(failure_of([&] { current_board(tree_.root()); }).what()).find("there is no platform 'leb'"),
            std::string::npos);
}

TEST_F(BoardTest, RemembersTheBoardInItsFirstLine) {
  EXPECT_EQ(write_default_config(tree_.root(), "qemu-aarch64", now_), "");
  EXPECT_EQ(read_file(tree_.root() / ".build.toml"),
            "# board: qemu-aarch64\n" + read_file(tree_.root() / "configs/board/qemu-aarch64.toml"));
  const Board board = current_board(tree_.root());
  EXPECT_TRUE(board.chosen);
  EXPECT_EQ(board.cmake_value, "qemu-aarch64");
}

TEST_F(BoardTest, KeepsTheOldFileUnderATimeInUtc) {
  const test::ScopedEnvironment zone("TZ", "Asia/Shanghai");
  tree_.write(".build.toml", "old");
  const fs::path backup = write_default_config(tree_.root(), "qemu-aarch64", now_);
  EXPECT_EQ(backup.filename(), ".build.toml.backup_20260304_050607");
  EXPECT_EQ(read_file(backup), "old");
}

TEST_F(BoardTest, NeverOverwritesABackup) {
  tree_.write(".build.toml", "first");
  const fs::path first = write_default_config(tree_.root(), "qemu-aarch64", now_);
  tree_.write(".build.toml", "second");
  const fs::path second = write_default_config(tree_.root(), "qemu-aarch64", now_);
  EXPECT_EQ(read_file(first), "first");
  EXPECT_EQ(read_file(second), "second");
}

TEST_F(BoardTest, BuildsFromAnEditedFile) {
  write_default_config(tree_.root(), "qemu-aarch64", now_);
  const fs::path file = tree_.root() / ".build.toml";
  write_file(file, read_file(file) + "smp = 2\n");
  const Board board = current_board(tree_.root());
  EXPECT_EQ(board.name, "qemu-aarch64");
  EXPECT_EQ(board.cmake_value, file);
  EXPECT_EQ(board.smp, 2);
}

TEST_F(BoardTest, SuggestsABoard) {
  const Failure failure = failure_of([&] { write_default_config(tree_.root(), "qemu-arch64", now_); });
  EXPECT_EQ(failure.code(), ExitCode::Usage);
  EXPECT_STREQ(failure.what(), "unknown board 'qemu-arch64'; did you mean 'qemu-aarch64'?");
  EXPECT_EQ(failure.hint(), "boards: qemu-aarch64");
  EXPECT_FALSE(fs::exists(tree_.root() / ".build.toml"));
}

TEST_F(BoardTest, SaysWhatThereIsOnRiscvInstead) {
  const Failure failure = failure_of([&] { write_default_config(tree_.root(), "qemu-riscv64", now_); });
  EXPECT_EQ(failure.code(), ExitCode::Usage);
  EXPECT_STREQ(failure.what(), "there is no board 'qemu-riscv64'");
  EXPECT_EQ(failure.hint(),
            "the hypervisor needs a board of an aarch64 or x86_64 machine; on riscv64 there are the platform and the unikernel "
            "(cmake --preset qemu-riscv64), which ./xtask app runs applications on");
}

TEST_F(BoardTest, TakesAFileWithoutAFirstLineForABoardOfItsOwn) {
  tree_.write(".build.toml", "target = \"x86_64-unknown-none\"\n");
  const Board board = current_board(tree_.root());
  EXPECT_EQ(board.name, "custom-x86_64");
  EXPECT_EQ(board.cmake_value, tree_.root() / ".build.toml");
  EXPECT_EQ(board.derived, "");
}

TEST_F(BoardTest, RecognisesACopyOfABoardsFile) {
  tree_.write(".build.toml", read_file(tree_.root() / "configs/board/qemu-aarch64.toml"));
  EXPECT_EQ(current_board(tree_.root()).cmake_value, "qemu-aarch64");
}

TEST_F(BoardTest, PrefersANamedFileAndANamedBoard) {
  tree_.write("other.toml", "target = \"x86_64-unknown-none\"\n");
  EXPECT_EQ(current_board(tree_.root(), {.build_config = tree_.root() / "other.toml"}).arch(), "x86_64");
  EXPECT_EQ(current_board(tree_.root(), {.board = "qemu-aarch64"}).name, "qemu-aarch64");
  const Failure failure = failure_of([&] { current_board(tree_.root(), {.build_config = tree_.root() / "othr.toml"}); });
  EXPECT_NE(std::string(failure.what()).find("no such file"), std::string::npos);
  EXPECT_NE(std::string(failure.what()).find("did you mean 'other.toml'?"), std::string::npos);
}

TEST_F(BoardTest, ReplacesKeys) {
  const Board board = current_board(tree_.root(), {.set = {{"log", "Debug"}, {"smp", "3"}, {"env.MARK", "\"1\""}}});
  EXPECT_EQ(board.smp, 3);
  EXPECT_EQ(board.derived,
            "# board: qemu-aarch64\nlog = \"Debug\"\nsmp = 3\ntarget = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n"
            "\n[env]\nMARK = \"1\"\n");
  EXPECT_STREQ(failure_of([&] { current_board(tree_.root(), {.set = {{"lgo", "x"}}}); }).what(),
               "--set lgo: a board has no such key; did you mean 'log'?");
  EXPECT_STREQ(failure_of([&] { current_board(tree_.root(), {.set = {{"log.x", "1"}, {"log.x.y", "1"}}}); }).what(),
               "--set log.x.y: 'log.x' is no table");
}

TEST_F(BoardTest, ReadsTheCargoTableOfOstool) {
  tree_.write(".build.toml", R"([system.Cargo]
target = "aarch64-unknown-none-softfloat"
package = "axvisor"
features = ["dyn-plat"]
log = "Info"
extra_config = "x.toml"
args = ["-j2"]
to_bin = true
pre_build_cmds = ["make guest"]
env = { MARK = "1" }
)");
  const Board board = current_board(tree_.root());
  EXPECT_EQ(board.name, "custom-aarch64");
  EXPECT_TRUE(board.to_bin);
  EXPECT_EQ(
      board.derived,
      "# board: custom-aarch64\ncargo_args = [\"-j2\"]\nfeatures = [\"dyn-plat\"]\nlog = \"Info\"\n"
      "pre_build_cmds = [\"make guest\"]\ntarget = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n\n[env]\nMARK = \"1\"\n");
  ASSERT_EQ(board.notices.size(), 2);
  EXPECT_NE(board.notices[0].find(":6: 'extra_config' does not apply: it configures Cargo"), std::string::npos);
  EXPECT_NE(board.notices[1].find("'package' does not apply"), std::string::npos);
  tree_.write(".build.toml", "[system.Cargo]\ntaget = 1\n");
  EXPECT_NE(std::string(failure_of([&] { current_board(tree_.root()); }).what())
                .find(":2: [system.Cargo] has no key 'taget'; did you mean 'target'?"),
            std::string::npos);
  tree_.write(".build.toml", "[system.Crago]\ntarget = 1\n");
  EXPECT_NE(std::string(failure_of([&] { current_board(tree_.root()); }).what()).find("[system.Cargo] or [system.Custom]"),
            std::string::npos);
}

TEST_F(BoardTest, ReadsTheCustomTableOfOstool) {
  tree_.write(".build.toml",
              "[system.Custom]\nbuild_cmd = \"make -C ${workspaceFolder}\"\nelf_path = \"out/k\"\nto_bin = true\n");
  const Board board = current_board(tree_.root());
  ASSERT_TRUE(board.custom);
  EXPECT_EQ(board.custom->command, "make -C " + tree_.root().string());
  EXPECT_EQ(board.custom->elf, tree_.root() / "out/k");
  EXPECT_TRUE(board.to_bin);
}

}  // namespace
}  // namespace ax::xtask
