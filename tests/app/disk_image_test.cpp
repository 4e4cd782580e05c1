#include "tools/app/disk_image.hpp"

#include "tests/app/support.hpp"

namespace ax::app::testing {
namespace {

TEST(DiskImageTest, IsAFat32DiskThatMtoolsCanUse) {
  const TemporaryFolder folder;
  const fs::path disk = folder / "some/disk.img";
  ASSERT_TRUE(make_disk_image(disk));
  EXPECT_EQ(fs::file_size(disk), kDiskBytes);
  write_file(folder / "hello.txt", "hello, disk\n");
  const std::string image = " -i " + config::testing::quoted(disk) + " ";
  const Finished info = run("minfo" + image + "::");
  ASSERT_EQ(info.status, 0) << info.errors;
  EXPECT_THAT(info.output, ::testing::HasSubstr("disk type=\"FAT32   \""));
  EXPECT_EQ(
      run("mmd" + image + "::folder && mcopy" + image + (folder / "hello.txt").string() + " ::folder/hello.txt").status,
      0);
  EXPECT_EQ(run("mtype" + image + "::folder/hello.txt").output, "hello, disk\n");
}

TEST(DiskImageTest, LeavesADiskAlone) {
  const TemporaryFolder folder;
  write_file(folder / "disk.img", "mine");
  ASSERT_TRUE(make_disk_image(folder / "disk.img"));
  EXPECT_EQ(read_file(folder / "disk.img"), "mine");
}

TEST(DiskImageTest, IsTheSameEveryTime) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_disk_image(folder / "a") && make_disk_image(folder / "b"));
  // Not in this process: two times 64 MiB take seconds under a sanitizer.
  EXPECT_EQ(run("cmp " + (folder / "a").string() + " " + (folder / "b").string()).status, 0);
}

TEST(DiskImageTest, SaysWhyItCannotBeMade) {
  const TemporaryFolder folder;
  write_file(folder / "file", "");
  const auto made = make_disk_image(folder / "file/disk.img");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error(), ::testing::HasSubstr("cannot write the disk"));
}

}  // namespace
}  // namespace ax::app::testing
