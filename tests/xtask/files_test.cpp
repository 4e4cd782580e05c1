#include "tools/xtask/core/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;

TEST(Files, WritesOnlyWhatDiffers) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "deep/file";
  EXPECT_TRUE(write_file_if_changed(file, "one"));
  const fs::file_time_type long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(file, long_ago);
  EXPECT_FALSE(write_file_if_changed(file, "one"));
  EXPECT_EQ(fs::last_write_time(file), long_ago);
  EXPECT_TRUE(write_file_if_changed(file, "two"));
  EXPECT_EQ(read_file(file), "two");
}

TEST(Files, LeavesNoTemporaryFileBeside) {
  const TemporaryFolder folder;
  write_file(folder.path() / "file", "content");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(Files, GivesNewFilesTheUsersMode) {
  const TemporaryFolder folder;
  const mode_t old = ::umask(027);
  write_file(folder.path() / "file", "");
  ::umask(old);
  EXPECT_EQ(fs::status(folder.path() / "file").permissions(), fs::perms(0640));
}

TEST(Files, NamesWhatCannotBeRead) {
  EXPECT_STREQ(failure_of([] { read_file("/nonexistent/file"); }).what(),
               "cannot read /nonexistent/file: no such file");
}

TEST(Sha256, MatchesTheStandardsExample) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace ax::xtask
