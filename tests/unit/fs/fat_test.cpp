#include "kernel/fs/fat.hpp"

#include <map>

#include "kernel/fs/tree.hpp"
#include "tests/unit/fs/images.hpp"

namespace ax::fs {
namespace {

using namespace test;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A mounted image.
struct Disk {
  explicit Disk(std::vector<std::byte> bytes, Fat::Time time = nullptr) : image(std::move(bytes)) {
    auto mounted = Fat::mount(device, heap, time);
    EXPECT_TRUE(mounted) << describe(mounted.error());
    fat.emplace(std::move(*mounted));
    EXPECT_TRUE(tree.mount(*fat, "", "test"));
  }

  static Path path(std::string_view text) { return *Path::make(Path(), text); }
  std::string read(std::string_view name) {
    auto found = tree.find(path(name));
    if (!found) return std::string("error: ") + std::string(describe(found.error()));
    std::string out(found->node.size, 0);
    usize done = 0;
    // In pieces that fit nothing.
    while (done < out.size()) {
      const auto got = fat->read(found->node, done, std::as_writable_bytes(std::span(out)).subspan(done, std::min<usize>(777, out.size() - done)));
      if (!got || *got == 0) return "error while reading";
      done += *got;
    }
    return out;
  }
  std::map<std::string, Node> list(std::string_view name) {
    struct Collector final : DirectoryVisitor {
      std::map<std::string, Node> out;
      bool visit(std::string_view entry, const Node& node) override {
        out.emplace(entry, node);
        return true;
      }
    } collector;
    EXPECT_TRUE(tree.list(path(name), collector));
    return collector.out;
  }
  /// What mtools find in it.
  std::string mtype(const std::string& name) {
    const Folder folder;
    save(folder / "image", image);
    return run("mtype -i " + (folder / "image").string() + " '::" + name + "'").output;
  }
  void expect_sound() {
    ASSERT_TRUE(fat->sync());
    const Outcome outcome = check_fat(image);
    EXPECT_EQ(outcome.status, 0) << outcome.output;
  }

  std::vector<std::byte> image;
  block::RamDisk device{image};
  std::optional<Fat> fat;
  Tree tree;
};

std::vector<std::byte> with_files(unsigned bits, unsigned kibibytes) {
  const Folder folder;
  save(folder / "image", make_fat(bits, kibibytes));
  save(folder / "Some long name, with blanks.txt", "long\n");
  save(folder / "UPPER.TXT", "upper\n");
  save(folder / "lower.txt", "lower\n");
  save(folder / "größe-文件.bin", pattern(100'000, 1));
  stdfs::create_directories(folder / "guest/linux");
  save(folder / "guest/linux/linux-qemu", pattern(5'000, 2));
  const std::string image = folder / "image";
  const Outcome copied = run("cd " + folder.path().string() + " && LC_ALL=C.UTF-8 mcopy -s -i " + image + " Some* UPPER.TXT lower.txt gr* guest ::");
  EXPECT_EQ(copied.status, 0) << copied.output;
  return load(image);
}

class FatOfWidth : public testing::TestWithParam<unsigned> {
 protected:
  static unsigned size() { return GetParam() == 32 ? 36'000 : 8'192; }
};
INSTANTIATE_TEST_SUITE_P(All, FatOfWidth, testing::Values(16u, 32u));

TEST_P(FatOfWidth, ReadsWhatMtoolsWrote) {
  Disk disk(with_files(GetParam(), size()));
  EXPECT_EQ(disk.read("/Some long name, with blanks.txt"), "long\n");
  EXPECT_EQ(disk.read("/UPPER.TXT"), "upper\n");
  EXPECT_EQ(disk.read("/lower.txt"), "lower\n");
  EXPECT_TRUE(disk.read("/größe-文件.bin") == pattern(100'000, 1));
  EXPECT_TRUE(disk.read("/guest/linux/linux-qemu") == pattern(5'000, 2));
  EXPECT_TRUE(disk.read("/GUEST/Linux/LINUX-QEMU") == pattern(5'000, 2)) << "case does not count";
  const auto root = disk.list("/");
  EXPECT_EQ(root.size(), 5u);
  EXPECT_EQ(root.at("lower.txt").size, 6u);
  EXPECT_EQ(root.at("guest").kind, Kind::Directory);
}

TEST_P(FatOfWidth, SaysWhatIsNotThere) {
  Disk disk(with_files(GetParam(), size()));
  EXPECT_EQ(disk.tree.find(Disk::path("/nothing")).error(), Error::NotFound);
  EXPECT_EQ(disk.tree.find(Disk::path("/lower.txt/x")).error(), Error::NotDirectory);
  EXPECT_EQ(disk.tree.make_directory(Disk::path("/guest")).error(), Error::AlreadyExists);
  EXPECT_EQ(disk.tree.remove(Disk::path("/guest")).error(), Error::NotEmpty);
  EXPECT_EQ(disk.tree.remove(Disk::path("/nothing")).error(), Error::NotFound);
  EXPECT_EQ(disk.tree.make_directory(Disk::path("/a?b")).error(), Error::InvalidArgument);
}

TEST_P(FatOfWidth, WritesWhatMtoolsRead) {
  Disk disk(make_fat(GetParam(), size()));
  const std::string contents = pattern(70'001, 3);
  ASSERT_TRUE(disk.tree.make_directory(Disk::path("/a directory")));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/a directory/größe.txt"), bytes_of(contents)));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/SHORT.TXT"), bytes_of("short")));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/empty"), {}));
  disk.expect_sound();
  EXPECT_TRUE(disk.mtype("/a directory/größe.txt") == contents);
  EXPECT_EQ(disk.mtype("/SHORT.TXT"), "short");
  EXPECT_TRUE(disk.read("/a directory/größe.txt") == contents);
}

TEST_P(FatOfWidth, FillsDirectoriesAndEmptiesThem) {
  Disk disk(make_fat(GetParam(), size()));
  ASSERT_TRUE(disk.tree.make_directory(Disk::path("/d")));
  const auto name = [](unsigned i) { return "/d/a file with a name of some length number " + std::to_string(i) + std::string(i % 90, 'x'); };
  constexpr unsigned kFiles = 150;
  for (unsigned i = 0; i < kFiles; ++i) ASSERT_TRUE(disk.tree.write_file(Disk::path(name(i)), bytes_of(name(i)))) << i;
  disk.expect_sound();
  EXPECT_EQ(disk.list("/d").size(), kFiles);
  for (unsigned i = 0; i < kFiles; i += 2) ASSERT_TRUE(disk.tree.remove(Disk::path(name(i))));
  for (unsigned i = 1; i < kFiles; i += 2) ASSERT_EQ(disk.read(name(i)), name(i));
  for (unsigned i = 0; i < kFiles; i += 4) ASSERT_TRUE(disk.tree.write_file(Disk::path(name(i)), bytes_of("again")));
  disk.expect_sound();
  for (unsigned i = 0; i < kFiles; ++i) static_cast<void>(disk.tree.remove(Disk::path(name(i))));
  ASSERT_TRUE(disk.tree.remove(Disk::path("/d")));
  disk.expect_sound();
  EXPECT_EQ(disk.fat->usage()->free + (GetParam() == 32 ? 512 : 0), disk.fat->usage()->total) << "only the root's cluster is used";
}

TEST_P(FatOfWidth, KeepsTheOldContentsWhenTheDiskIsFull) {
  Disk disk(make_fat(GetParam(), size()));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/kept"), bytes_of("kept")));
  const std::string half = pattern(static_cast<usize>(disk.fat->usage()->free) / 2 + 4096, 5);
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/half"), bytes_of(half)));
  EXPECT_EQ(disk.tree.write_file(Disk::path("/kept"), bytes_of(half)).error(), Error::NoSpace);
  EXPECT_EQ(disk.tree.write_file(Disk::path("/new"), bytes_of(half)).error(), Error::NoSpace);
  EXPECT_EQ(disk.read("/kept"), "kept");
  EXPECT_EQ(disk.tree.find(Disk::path("/new")).error(), Error::NotFound);
  EXPECT_TRUE(disk.read("/half") == half);
  disk.expect_sound();
}

TEST_P(FatOfWidth, AppendsAndOverwritesInPlace) {
  Disk disk(make_fat(GetParam(), size()));
  std::string expected = pattern(1'000, 6);
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/log"), bytes_of(expected)));
  Node file = disk.tree.find(Disk::path("/log"))->node;
  for (unsigned i = 0; i < 20; ++i) {
    const std::string more = pattern(300 + i * 50, i);
    ASSERT_TRUE(disk.fat->write(file, expected.size(), bytes_of(more)));
    expected += more;
    if (i % 3 == 0) {
      ASSERT_TRUE(disk.fat->commit(file));
    }
  }
  ASSERT_TRUE(disk.fat->write(file, 700, bytes_of("in the middle")));
  expected.replace(700, 13, "in the middle");
  EXPECT_EQ(disk.fat->write(file, expected.size() + 1, bytes_of("x")).error(), Error::OutOfRange);
  ASSERT_TRUE(disk.fat->commit(file));
  EXPECT_TRUE(disk.read("/log") == expected);
  EXPECT_TRUE(disk.mtype("/log") == expected);
  disk.expect_sound();
}

TEST_P(FatOfWidth, GivesUpWhatWasNotCommitted) {
  Disk disk(make_fat(GetParam(), size()));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/log"), bytes_of(pattern(1'000, 6))));
  const u64 free = disk.fat->usage()->free;
  Node file = disk.tree.find(Disk::path("/log"))->node;
  ASSERT_TRUE(disk.fat->write(file, 1'000, bytes_of(pattern(9'000, 7))));
  disk.fat->abandon(file);
  EXPECT_TRUE(disk.read("/log") == pattern(1'000, 6));
  EXPECT_EQ(disk.fat->usage()->free, free);
  disk.expect_sound();
}

TEST_P(FatOfWidth, RenamesWithinADirectory) {
  Disk disk(make_fat(GetParam(), size()));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/before"), bytes_of("contents")));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/other"), bytes_of("other")));
  const Node root = *disk.fat->root();
  EXPECT_EQ(disk.fat->rename(root, "nothing", "x").error(), Error::NotFound);
  EXPECT_EQ(disk.fat->rename(root, "before", "other").error(), Error::AlreadyExists);
  ASSERT_TRUE(disk.fat->rename(root, "before", "A much longer name than before.text"));
  EXPECT_EQ(disk.read("/A much longer name than before.text"), "contents");
  EXPECT_EQ(disk.tree.find(Disk::path("/before")).error(), Error::NotFound);
  ASSERT_TRUE(disk.fat->rename(root, "a much longer name than before.text", "SHORT"));
  EXPECT_EQ(disk.mtype("/SHORT"), "contents");
  disk.expect_sound();
}

TEST_P(FatOfWidth, MovesIntoAnotherDirectory) {
  Disk disk(make_fat(GetParam(), size()));
  ASSERT_TRUE(disk.tree.make_directory(Disk::path("/from")));
  ASSERT_TRUE(disk.tree.make_directory(Disk::path("/to")));
  ASSERT_TRUE(disk.tree.make_directory(Disk::path("/from/directory")));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/from/directory/file"), bytes_of("contents")));
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/to/there"), bytes_of("other")));
  const Node from = disk.tree.find(Disk::path("/from"))->node, to = disk.tree.find(Disk::path("/to"))->node;
  EXPECT_EQ(disk.fat->move(from, "nothing", to, "x").error(), Error::NotFound);
  EXPECT_EQ(disk.fat->move(from, "directory", to, "there").error(), Error::AlreadyExists);
  ASSERT_TRUE(disk.fat->move(from, "directory", to, "a longer name of it"));
  EXPECT_EQ(disk.read("/to/a longer name of it/file"), "contents");
  ASSERT_TRUE(disk.fat->move(to, "a longer name of it", *disk.fat->root(), "back"));
  EXPECT_EQ(disk.mtype("/back/file"), "contents");
  EXPECT_EQ(disk.list("/from").size() + disk.list("/to").size(), 1u);
  disk.expect_sound();
}

TEST_P(FatOfWidth, ShortensAFile) {
  Disk disk(make_fat(GetParam(), size()));
  const u64 free = disk.fat->usage()->free;
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/file"), bytes_of(pattern(20'000, 3))));
  Node file = disk.tree.find(Disk::path("/file"))->node;
  EXPECT_EQ(disk.fat->shorten(file, 20'001).error(), Error::OutOfRange);
  ASSERT_TRUE(disk.fat->shorten(file, 5'000));
  EXPECT_TRUE(disk.read("/file") == pattern(20'000, 3).substr(0, 5'000));
  disk.expect_sound();
  ASSERT_TRUE(disk.fat->write(file, 5'000, bytes_of("more")));
  ASSERT_TRUE(disk.fat->commit(file));
  EXPECT_EQ(disk.read("/file").substr(5'000), "more");
  ASSERT_TRUE(disk.fat->shorten(file, 0));
  EXPECT_EQ(disk.read("/file"), "");
  EXPECT_EQ(disk.fat->usage()->free, free);
  disk.expect_sound();
}

TEST_P(FatOfWidth, KeepsWhatAFileHoldsUntilItIsReleased) {
  Disk disk(make_fat(GetParam(), size()));
  const u64 free = disk.fat->usage()->free;
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/file"), bytes_of("contents")));
  Node file = disk.tree.find(Disk::path("/file"))->node;
  EXPECT_EQ(disk.fat->detach(*disk.fat->root(), "other").error(), Error::NotFound);
  ASSERT_TRUE(disk.fat->detach(*disk.fat->root(), "file"));
  EXPECT_EQ(disk.tree.find(Disk::path("/file")).error(), Error::NotFound);
  file.place = 0;
  std::array<std::byte, 8> read;
  EXPECT_EQ(*disk.fat->read(file, 0, read), 8u);
  ASSERT_TRUE(disk.fat->shorten(file, 3));
  ASSERT_TRUE(disk.fat->release(file));
  EXPECT_EQ(disk.fat->usage()->free, free);
  disk.expect_sound();
}

TEST_P(FatOfWidth, WritesTheTime) {
  Disk disk(make_fat(GetParam(), size()), [] { return u64{1'700'000'000}; });
  ASSERT_TRUE(disk.tree.write_file(Disk::path("/file"), bytes_of("x")));
  EXPECT_EQ(disk.list("/").at("file").changed, 1'700'000'000u);
}

TEST(Fat, SaysWhyItDoesNotMount) {
  std::vector<std::byte> empty(1 << 20);
  block::RamDisk nothing(empty);
  EXPECT_EQ(Fat::mount(nothing, heap).error(), Error::NotSupported);
  std::vector<std::byte> image = make_fat(32, 36'000);
  image.resize(image.size() / 2);
  block::RamDisk half(image);
  EXPECT_EQ(Fat::mount(half, heap).error(), Error::Truncated);
  std::vector<std::byte> small = make_fat(12, 1'000);
  block::RamDisk floppy(small);
  EXPECT_EQ(Fat::mount(floppy, heap).error(), Error::NotSupported);
}

TEST(Fat, ChangesNothingOnAReadOnlyDisk) {
  std::vector<std::byte> image = with_files(32, 36'000);
  const std::vector<std::byte> before = image;
  block::RamDisk device(image, false);
  Fat fat = *Fat::mount(device, heap);
  EXPECT_FALSE(fat.writable());
  const Node root = *fat.root();
  Node file = *fat.find(root, "lower.txt");
  EXPECT_EQ(fat.create(root, "x", Kind::File).error(), Error::ReadOnly);
  EXPECT_EQ(fat.write(file, 0, bytes_of("x")).error(), Error::ReadOnly);
  EXPECT_EQ(fat.remove(root, "lower.txt").error(), Error::ReadOnly);
  EXPECT_TRUE(fat.sync());
  EXPECT_TRUE(image == before);
}

}  // namespace
}  // namespace ax::fs
