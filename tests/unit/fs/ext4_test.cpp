#include "kernel/fs/ext4.hpp"

#include <map>

#include "kernel/fs/tree.hpp"
#include "tests/unit/fs/images.hpp"

namespace ax::fs {
namespace {

using namespace test;

/// Every other 4 KiB are zeros, which mke2fs leaves out: more pieces than one block of an extent tree describes.
std::string with_holes() {
  constexpr usize kPiece = 4096, kPieces = 700;
  std::string out;
  for (unsigned i = 0; i < kPieces; ++i) out += pattern(kPiece, i) + std::string(kPiece, '\0');
  return out;
}

/// A root with the kinds of files there are.
std::vector<std::byte> make_ext(const std::string& options) {
  const Folder folder;
  const stdfs::path root = folder / "root";
  stdfs::create_directories(root / "guest/linux");
  save(root / "guest/linux/linux-qemu", pattern(3'000'000, 1));
  save(root / "small", "small\n");
  save(root / "empty", "");
  stdfs::create_symlink("guest/linux", root / "link");
  stdfs::create_symlink("/" + std::string(30, '.') + "/../small", root / "odd");
  stdfs::create_symlink("/./././././././././././././././././././././././././././././././././small", root / "long-link");
  stdfs::create_symlink("loop", root / "loop");
  stdfs::create_directories(root / "many");
  for (unsigned i = 0; i < 600; ++i) save(root / ("many/file with a longer name " + std::to_string(i)), std::to_string(i));
  // A hole, then contents: blocks that are not there read as zeros.
  save(root / "sparse", "begin");
  stdfs::resize_file(root / "sparse", 900'000);
  std::ofstream(root / "sparse", std::ios::in | std::ios::out | std::ios::ate) << "end";
  save(root / "holes", with_holes());
  const std::string image = folder / "image";
  const Outcome made = run("mke2fs -q -d " + root.string() + " " + options + " " + image + " 32M");
  EXPECT_EQ(made.status, 0) << made.output;
  return load(image);
}

struct Disk {
  explicit Disk(std::vector<std::byte> bytes) : image(std::move(bytes)) {
    auto mounted = Ext4::mount(device, heap);
    EXPECT_TRUE(mounted) << describe(mounted.error());
    ext4.emplace(std::move(*mounted));
    EXPECT_TRUE(tree.mount(*ext4, "", "test"));
  }
  std::string read(std::string_view name) {
    auto found = tree.find(*Path::make(Path(), name));
    if (!found) return std::string("error: ") + std::string(describe(found.error()));
    std::string out(found->node.size, 1);
    usize done = 0;
    while (done < out.size()) {
      const auto got = ext4->read(found->node, done, std::as_writable_bytes(std::span(out)).subspan(done, std::min<usize>(100'001, out.size() - done)));
      if (!got || *got == 0) return "error while reading";
      done += *got;
    }
    return out;
  }
  std::vector<std::byte> image;
  block::RamDisk device{image};
  std::optional<Ext4> ext4;
  Tree tree;
};

class ExtOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, ExtOf,
                         testing::Values("-t ext4", "-t ext4 -b 1024", "-t ext4 -b 4096 -O ^64bit", "-t ext4 -O meta_bg,^resize_inode -b 1024",
                                         "-t ext4 -I 128", "-t ext3", "-t ext2 -b 1024", "-t ext4 -O bigalloc -C 16384 -b 1024", "-t ext4 -g 2048 -b 1024"));

TEST_P(ExtOf, ReadsWhatMke2fsWrote) {
  Disk disk(make_ext(GetParam()));
  EXPECT_TRUE(disk.read("/guest/linux/linux-qemu") == pattern(3'000'000, 1));
  EXPECT_TRUE(disk.read("/holes") == with_holes());
  EXPECT_EQ(disk.read("/small"), "small\n");
  EXPECT_EQ(disk.read("/empty"), "");
  for (unsigned i = 0; i < 600; i += 37) ASSERT_EQ(disk.read("/many/file with a longer name " + std::to_string(i)), std::to_string(i));
  const std::string sparse = disk.read("/sparse");
  ASSERT_EQ(sparse.size(), 900'003u);
  EXPECT_EQ(sparse.substr(0, 5), "begin");
  EXPECT_EQ(sparse.substr(900'000), "end");
  EXPECT_EQ(std::ranges::count(sparse, '\0'), 900'003 - 8);
}

TEST_P(ExtOf, FollowsLinks) {
  Disk disk(make_ext(GetParam()));
  EXPECT_EQ(disk.read("/link/linux-qemu").size(), 3'000'000u);
  EXPECT_EQ(disk.read("/long-link"), "small\n");
  EXPECT_EQ(disk.read("/odd"), "small\n");
  EXPECT_EQ(disk.tree.find(*Path::make(Path(), "/loop")).error(), Error::Malformed);
  EXPECT_EQ(disk.tree.find(*Path::make(Path(), "/nothing")).error(), Error::NotFound);
}

TEST_P(ExtOf, ListsADirectory) {
  Disk disk(make_ext(GetParam()));
  struct Counter final : DirectoryVisitor {
    std::map<std::string, Node> found;
    bool visit(std::string_view name, const Node& node) override {
      found.emplace(name, node);
      return true;
    }
  } counter;
  ASSERT_TRUE(disk.tree.list(*Path::make(Path(), "/many"), counter));
  EXPECT_EQ(counter.found.size(), 600u);
  counter.found.clear();
  ASSERT_TRUE(disk.tree.list(Path(), counter));
  EXPECT_EQ(counter.found.at("link").kind, Kind::Link);
  EXPECT_EQ(counter.found.at("guest").kind, Kind::Directory);
  EXPECT_EQ(counter.found.at("small").size, 6u);
}

TEST(Ext4, IsNeverChanged) {
  Disk disk(make_ext("-t ext4"));
  const std::vector<std::byte> before = disk.image;
  EXPECT_FALSE(disk.ext4->writable());
  EXPECT_EQ(disk.tree.write_file(*Path::make(Path(), "/new"), {}).error(), Error::ReadOnly);
  EXPECT_EQ(disk.tree.write_file(*Path::make(Path(), "/small"), {}).error(), Error::ReadOnly);
  EXPECT_EQ(disk.tree.remove(*Path::make(Path(), "/small")).error(), Error::ReadOnly);
  EXPECT_EQ(disk.tree.make_directory(*Path::make(Path(), "/d")).error(), Error::ReadOnly);
  EXPECT_TRUE(disk.image == before);
}

TEST(Ext4, SaysThatItsJournalWasNotReplayed) {
  std::vector<std::byte> image = make_ext("-t ext4");
  constexpr usize kIncompatible = 1024 + 0x60;
  image[kIncompatible] |= std::byte{4};
  Disk disk(std::move(image));
  EXPECT_NE(disk.ext4->remark().find("journal"), std::string_view::npos);
  EXPECT_EQ(disk.read("/small"), "small\n");
}

TEST(Ext4, SaysWhyItDoesNotMount) {
  std::vector<std::byte> empty(1 << 20);
  block::RamDisk nothing(empty);
  EXPECT_EQ(Ext4::mount(nothing, heap).error(), Error::NotSupported);
  std::vector<std::byte> image = make_ext("-t ext4");
  std::vector<std::byte> unknown = image;
  unknown[1024 + 0x63] |= std::byte{0x40};
  block::RamDisk future(unknown);
  EXPECT_EQ(Ext4::mount(future, heap).error(), Error::NotSupported);
  image.resize(image.size() / 2);
  block::RamDisk half(image);
  EXPECT_EQ(Ext4::mount(half, heap).error(), Error::Truncated);
}

}  // namespace
}  // namespace ax::fs
