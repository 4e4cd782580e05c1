// Disks from recipes, judged by the tools of the file systems and of the kernel's developers: e2fsck, debugfs, fsck.vfat, mtools, partx.
#include "tools/xtask/image/disk_image.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;
using test::ProgramResult;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class DiskTest : public ::testing::Test {
 protected:
  DiskTest() {
    tree_.write("content/etc/motd", "hello");
    tree_.write("content/bin/tool", "tool");
    fs::permissions(tree_.root() / "content/bin/tool", fs::perms::owner_all);
    fs::create_directories(tree_.root() / "content/empty");
    tree_.write(".image.toml", "local_storage = \"storage\"\nauto_sync = false\n");
  }

  ProgramResult image(std::vector<std::string> arguments, const EnvironmentChanges& more = {}) const {
    arguments.insert(arguments.begin(), "image");
    EnvironmentChanges all = more;
    all.emplace("AXVISOR_CACHE", tree_.path("cache").string());
    all.emplace("AXVISOR_OFFLINE", "1");
    return tree_.xtask(arguments, all);
  }
  ProgramResult build(const std::string& recipe, const std::string& output = "disk.img") const {
    tree_.write("disk.toml", recipe);
    return image({"build", (tree_.root() / "disk.toml").string(), "-o", tree_.path(output).string()});
  }
  fs::path disk() const { return tree_.path("disk.img"); }
  static std::string run(const Argv& argv) { return test::run_program(argv, {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}).output; }
  std::string debugfs(const std::string& command, const fs::path& file) const { return run({"debugfs", "-R", command, file.string()}); }
  /// A partition as a file of its own.
  fs::path part(std::uint64_t first_mib, std::uint64_t size_mib) const {
    write_file(tree_.path("part"), read_file(disk()).substr(first_mib * kMiB, size_mib * kMiB));
    return tree_.path("part");
  }

  test::ScratchTree tree_;
};

constexpr const char* kExt4 = "kind = \"disk\"\ntable = \"none\"\n[[partitions]]\nfilesystem = \"ext4\"\nlabel = \"ROOT\"\nfolders = [\"content\"]\n";

TEST_F(DiskTest, HoldsAFolderOnExt4) {
  fs::create_symlink("tool", tree_.root() / "content/bin/link");
  const ProgramResult result = build(std::string(kExt4) + "[[partitions.files]]\npath = \"/guest/linux/a file\"\ntext = \"text\"\nexecutable = true\n");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(test::run_program({"/sbin/e2fsck", "-fn", disk().string()}).status, 0);
  EXPECT_THAT(debugfs("cat /etc/motd", disk()), HasSubstr("hello"));
  EXPECT_THAT(debugfs("cat \"/guest/linux/a file\"", disk()), HasSubstr("text"));
  EXPECT_THAT(debugfs("stat \"/guest/linux/a file\"", disk()), HasSubstr("Mode:  0755"));
  EXPECT_THAT(debugfs("stat /etc/motd", disk()), HasSubstr("Mode:  0644"));
  EXPECT_THAT(debugfs("stat /etc/motd", disk()), HasSubstr("User:     0   Group:     0"));
  EXPECT_THAT(debugfs("stat /bin/link", disk()), HasSubstr("Fast link dest: \"tool\""));
  EXPECT_THAT(debugfs("stat /empty", disk()), HasSubstr("Type: directory"));
  EXPECT_THAT(run({"dumpe2fs", "-h", disk().string()}), HasSubstr("Filesystem volume name:   ROOT"));
}

constexpr const char* kTwo = R"(kind = "disk"
[[partitions]]
name = "boot"
filesystem = "fat32"
size = "40M"
type = "esp"
folders = ["content"]
[[partitions.files]]
path = "/EFI/BOOT/a long name.txt"
text = "boot"
[[partitions]]
name = "root"
filesystem = "ext4"
folders = ["content"]
)";

TEST_F(DiskTest, HasPartitionsThatOthersRead) {
  ASSERT_EQ(build(kTwo).status, 0);
  EXPECT_EQ(run({"partx", "-g", "-r", "-o", "NR,START,SECTORS,NAME,TYPE", disk().string()}),
            "1 2048 81920 boot c12a7328-f81f-11d2-ba4b-00a0c93ec93b\n"
            "2 83968 32768 root 0fc63daf-8483-4772-8e79-3d69d8477de4\n");
  EXPECT_EQ(run({"mtype", "-i", disk().string() + "@@1M", "::/EFI/BOOT/a long name.txt"}), "boot");
  EXPECT_EQ(run({"mtype", "-i", disk().string() + "@@1M", "::/etc/motd"}), "hello");
  const ProgramResult check = image({"check", disk().string(), "--json", "-q"});
  EXPECT_EQ(check.status, 0) << check.output;
  const auto list = nlohmann::json::parse(check.output);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["file_system"], "fat");
  EXPECT_EQ(list[1]["partition"], "partition 2 (root)");
}

TEST_F(DiskTest, HasTheSecondCopyOfItsTableWhereItBelongs) {
  ASSERT_EQ(build(kTwo).status, 0);
  const std::string bytes = read_file(disk());
  EXPECT_EQ(bytes.substr(bytes.size() - kSectorBytes, 8), "EFI PART");
  std::string broken = bytes;
  broken.replace(kSectorBytes, 2 * kSectorBytes, 2 * kSectorBytes, '\0');
  write_file(disk(), broken);
  EXPECT_THAT(run({"partx", "-g", "-r", "-o", "NAME", disk().string()}), HasSubstr("root")) << "from the copy at the end";
}

TEST_F(DiskTest, IsTheSameEveryTime) {
  ASSERT_EQ(build(kTwo).status, 0);
  const std::string first = sha256_of_file(disk());
  // Another order of creation, another time, another umask, another time zone.
  fs::rename(tree_.root() / "content", tree_.root() / "old");
  tree_.write("content/bin/tool", "tool");
  fs::permissions(tree_.root() / "content/bin/tool", fs::perms::owner_read | fs::perms::owner_exec | fs::perms::group_write);
  fs::create_directories(tree_.root() / "content/empty");
  tree_.write("content/etc/motd", "hello");
  fs::last_write_time(tree_.root() / "content/etc/motd", fs::file_time_type::clock::now() - std::chrono::hours(1000));
  const ProgramResult again = image({"build", (tree_.root() / "disk.toml").string(), "-o", tree_.path("again.img").string()},
                                    {{"TZ", "Asia/Tokyo"}, {"MKE2FS_CONFIG", "/nonexistent"}});
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(sha256_of_file(tree_.path("again.img")), first);
}

TEST_F(DiskTest, IsSparse) {
  ASSERT_EQ(build("kind = \"disk\"\nsize = \"2G\"\n[[partitions]]\nfilesystem = \"ext4\"\n").status, 0);
  struct stat status{};
  ASSERT_EQ(::stat(disk().c_str(), &status), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), 2048 * kMiB);
  EXPECT_LT(static_cast<std::uint64_t>(status.st_blocks) * 512, 100 * kMiB);
}

TEST_F(DiskTest, MayHaveAnMbrAndRawPartitions) {
  tree_.write("loader.bin", "a boot loader");
  ASSERT_EQ(build("kind = \"disk\"\ntable = \"mbr\"\nsize = \"64M\"\n[[partitions]]\nsource = \"loader.bin\"\nsize = \"1M\"\n"
                  "[[partitions]]\nfilesystem = \"ext4\"\n")
                .status,
            0);
  EXPECT_EQ(run({"partx", "-g", "-r", "-o", "NR,START,SECTORS,TYPE", disk().string()}), "1 2048 2048 0x83\n2 4096 126976 0x83\n");
  EXPECT_EQ(read_file(disk()).substr(kMiB, 13), "a boot loader");
}

TEST_F(DiskTest, GrowsAndShrinksWithoutLosingAnything) {
  ASSERT_EQ(build(kTwo).status, 0);
  ASSERT_EQ(image({"resize", disk().string(), "128M"}).status, 0);
  EXPECT_EQ(fs::file_size(disk()), 128 * kMiB);
  EXPECT_EQ(image({"check", disk().string()}).status, 0);
  EXPECT_THAT(debugfs("cat /etc/motd", part(41, 86)), HasSubstr("hello"));
  ASSERT_EQ(image({"resize", disk().string(), "60M"}).status, 0);
  EXPECT_EQ(image({"check", disk().string()}).status, 0);
  const std::string before = sha256_of_file(disk());
  const ProgramResult refused = image({"resize", disk().string(), "44M"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("its content does not fit into 44.0 MiB"));
  EXPECT_EQ(sha256_of_file(disk()), before);
  EXPECT_THAT(image({"resize", disk().string(), "big"}).output, HasSubstr("'big' is no size of a disk as in 512M"));
}

TEST_F(DiskTest, OfFatIsNotResized) {
  ASSERT_EQ(build("kind = \"disk\"\ntable = \"none\"\n[[partitions]]\nfilesystem = \"fat32\"\n").status, 0);
  const ProgramResult result = image({"resize", disk().string(), "80M"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("only ext4 can be given another size"));
}

TEST_F(DiskTest, WithDamageIsReported) {
  ASSERT_EQ(build(kExt4).status, 0);
  std::string bytes = read_file(disk());
  bytes[1024 + 200] = static_cast<char>(bytes[1024 + 200] ^ 1);  // in the super block, which has a checksum
  write_file(disk(), bytes);
  const ProgramResult damaged = image({"check", disk().string()});
  EXPECT_EQ(damaged.status, 1);
  EXPECT_THAT(damaged.output, HasSubstr("the file system is damaged"));
  ASSERT_EQ(build(kTwo).status, 0);
  bytes = read_file(disk());
  bytes[2 * kSectorBytes + 40] = static_cast<char>(bytes[2 * kSectorBytes + 40] ^ 1);
  write_file(disk(), bytes);
  EXPECT_THAT(image({"check", disk().string()}).output, HasSubstr("damaged partition table: the checksum of its entries is wrong"));
}

TEST_F(DiskTest, ThatIsTooSmallSaysSo) {
  tree_.write("content/big", std::string(20 * kMiB, 'x'));
  const ProgramResult ext4 = build("kind = \"disk\"\n[[partitions]]\nname = \"root\"\nfilesystem = \"ext4\"\nsize = \"16M\"\nfolders = [\"content\"]\n");
  EXPECT_EQ(ext4.status, 2);
  EXPECT_THAT(ext4.output, HasSubstr("partition 1 (root): 20.0 MiB of content do not fit into 16.0 MiB\nhint: give it a larger 'size'"));
  tree_.write("content/big", std::string(40 * kMiB, 'x'));
  const ProgramResult fat = build("kind = \"disk\"\n[[partitions]]\nfilesystem = \"fat32\"\nsize = \"36M\"\nfolders = [\"content\"]\n");
  EXPECT_EQ(fat.status, 2);
  EXPECT_THAT(fat.output, HasSubstr("40.0 MiB of content do not fit into 36.0 MiB"));
  EXPECT_FALSE(fs::exists(disk()));
  EXPECT_THAT(build("kind = \"disk\"\nsize = \"1M\"\n[[partitions]]\nfilesystem = \"ext4\"\n").output, HasSubstr("too small for 1 partitions"));
}

TEST_F(DiskTest, RefusesWhatFatCannotHold) {
  const std::string recipe = "kind = \"disk\"\n[[partitions]]\nfilesystem = \"fat32\"\nfolders = [\"content\"]\n";
  fs::create_symlink("motd", tree_.root() / "content/etc/link");
  EXPECT_THAT(build(recipe).output, HasSubstr("/etc/link is a symbolic link, which FAT32 cannot hold"));
  fs::remove(tree_.root() / "content/etc/link");
  tree_.write("content/etc/MOTD", "x");
  EXPECT_THAT(build(recipe).output, HasSubstr("/etc/MOTD and /etc/motd are the same name on FAT32"));
}

struct BadRecipe {
  const char* text;
  const char* message;
};

class BadRecipeTest : public DiskTest, public ::testing::WithParamInterface<BadRecipe> {};

TEST_P(BadRecipeTest, IsExplained) {
  const ProgramResult result = build(GetParam().text);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr(GetParam().message));
  EXPECT_FALSE(fs::exists(disk()));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRecipeTest,
    ::testing::Values(
        BadRecipe{"kind = \"disc\"\n", "disk.toml:1: 'kind': must be \"disk\""}, BadRecipe{"kind = \"disk\"\n", "0 [[partitions]]"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext5\"\n", "disk.toml:3: 'filesystem': 'ext5' is none of none, ext4, fat32; did you mean 'ext4'?"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nsize = \"64 MB\"\n", "'size': '64 MB' is no size as in 64M"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfolder = [\"x\"]\n", "'folder': unknown key; did you mean 'folders'?"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\nfolders = [\"nowhere\"]\n", "tree/nowhere does not exist"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfolders = [\"content\"]\n", "'filesystem': files and folders need one"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\n[[partitions]]\nfilesystem = \"ext4\"\n", "partition 1 needs a 'size'"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\ntype = \"swop\"\n", "'swop' is none of esp, linux, data, and no GUID"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\n[[partitions.files]]\npath = \"../x\"\ntext = \"\"\n",
                  "'../x' must be the absolute path of a file on the disk"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\n[[partitions.files]]\npath = \"/x\"\n", "say what /x is: one of"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"ext4\"\n[[partitions.files]]\npath = \"/etc\"\ntext = \"\"\n[[partitions.files]]\n"
                  "path = \"/etc/x\"\ntext = \"\"\n",
                  "'/etc/x' is put into '/etc', which is no folder"},
        BadRecipe{"kind = \"disk\"\n[[partitions]]\nfilesystem = \"fat32\"\nsize = \"8M\"\n", "too small for FAT32: at least 36.0 MiB"}));

TEST_F(DiskTest, OfAVmHoldsItsImagesWhereTheFileSays) {
  tree_.write("vm.toml", "[base]\nname = \"guest\"\n[kernel]\nimage_location = \"fs\"\nkernel_path = \"/guest/linux/Image\"\nramdisk_path = \"/guest/initrd\"\n");
  tree_.write("Image", "the kernel");
  tree_.write("initrd", "the ramdisk");
  const std::string config = (tree_.root() / "vm.toml").string();
  const std::vector<std::string> words{"build", "--config", config, "--kernel", "Image", "--ramdisk", "initrd", "-o", disk().string()};
  const ProgramResult result = image(words);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(debugfs("cat /guest/linux/Image", part(1, 16)), HasSubstr("the kernel"));
  EXPECT_THAT(debugfs("cat /guest/initrd", part(1, 16)), HasSubstr("the ramdisk"));
  const ProgramResult missing = image({"build", "--config", config, "--kernel", "Image"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr("takes ramdisk_path = \"/guest/initrd\" from a disk: --ramdisk says what to put there"));
}

TEST_F(DiskTest, IsNotNeededByAVmInMemory) {
  tree_.write("vm.toml", "[base]\nname = \"guest\"\n[kernel]\nimage_location = \"memory\"\nkernel_path = \"images/kernel\"\n");
  const std::string config = (tree_.root() / "vm.toml").string();
  const ProgramResult missing = image({"build", "--config", config});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr("kernel_path = \"images/kernel\": no such file: " + (tree_.root() / "images/kernel").string()));
  EXPECT_THAT(missing.output, HasSubstr("\nhint: put it there"));
  tree_.write("images/kernel", "kernel");
  EXPECT_EQ(image({"build", "--config", config}).output, (tree_.root() / "images/kernel").string() + "\n");
  const ProgramResult useless = image({"build", "--config", config, "--kernel", config});
  EXPECT_EQ(useless.status, 2);
  EXPECT_THAT(useless.output, HasSubstr("--kernel is of no use: " + config + " takes its images into memory, not from a disk"));
  tree_.write("other.toml", "x = 1\n");
  EXPECT_THAT(image({"build", "--config", (tree_.root() / "other.toml").string()}).output, HasSubstr("is neither a VM file"));
  EXPECT_EQ(image({"build"}).status, 2);
}

TEST(Guids, AreSpeltAsUefiDoes) {
  EXPECT_EQ(format_guid(parse_guid("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
  EXPECT_EQ(parse_guid("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")[0], 0x28);
  EXPECT_EQ(parse_guid("no guid"), Guid{});
  EXPECT_EQ(format_guid(guid_of_name("x"))[14], '8');
  EXPECT_NE(guid_of_name("x"), guid_of_name("y"));
}

TEST(Sizes, ArePowersOf1024) {
  EXPECT_EQ(parse_size("64M"), 64 * kMiB);
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("1.5G"), 0u);
  EXPECT_EQ(parse_size("64MB"), 0u);
  EXPECT_EQ(parse_size("-1"), 0u);
  EXPECT_EQ(parse_size("99999999999T"), 0u);
}

}  // namespace
}  // namespace ax::xtask
