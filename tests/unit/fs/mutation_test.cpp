// Damaged file systems: every call ends, nothing is touched outside the disk and the buffers, no error is anything but an error.
#include <random>

#include "kernel/block/partitions.hpp"
#include "kernel/fs/mount.hpp"
#include "kernel/fs/tree.hpp"
#include "tests/unit/fs/images.hpp"

namespace ax::fs {
namespace {

using namespace test;

/// Reads whatever is there, to a depth, and changes things where that is possible.
class Explorer final : public DirectoryVisitor {
 public:
  explicit Explorer(FileSystem& system) : system_(system) {}

  void explore() {
    const auto root = system_.root();
    if (!root) return;
    descend(*root);
    static_cast<void>(system_.usage());
    auto made = system_.create(*root, "a new file with a long name", Kind::File);
    if (made) {
      static_cast<void>(system_.write(*made, 0, buffer_));
      if (!system_.commit(*made)) system_.abandon(*made);
    }
    static_cast<void>(system_.create(*root, "directory", Kind::Directory));
    static_cast<void>(system_.rename(*root, "a new file with a long name", "b"));
    for (const std::string& name : names_) static_cast<void>(system_.remove(*root, name));
    static_cast<void>(system_.sync());
  }

 private:
  static constexpr unsigned kDepth = 3, kMostVisits = 300;

  bool visit(std::string_view name, const Node& node) override {
    EXPECT_LE(name.size(), kMaxName);
    if (++visits_ > kMostVisits) return false;
    if (depth_ == 1) names_.emplace_back(name);
    Node copy = node;
    static_cast<void>(system_.read(copy, 0, buffer_));
    static_cast<void>(system_.read(copy, node.size / 2, buffer_));
    if (node.kind == Kind::Directory) descend(node);
    return true;
  }
  void descend(const Node& directory) {
    if (depth_ == kDepth) return;
    ++depth_;
    static_cast<void>(system_.list(directory, *this));
    static_cast<void>(system_.find(directory, "small"));
    --depth_;
  }

  FileSystem& system_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(20'000);
  std::vector<std::string> names_;
  unsigned depth_ = 0, visits_ = 0;
};

std::vector<std::byte> small_ext4() {
  const Folder folder;
  stdfs::create_directories(folder / "root/d/e");
  save(folder / "root/small", "small");
  save(folder / "root/d/large", pattern(60'000, 1));
  stdfs::create_symlink("d/large", folder / "root/link");
  const Outcome made = run("mke2fs -q -t ext4 -b 1024 -O ^has_journal -d " + (folder / "root").string() + " " + (folder / "image").string() + " 512k");
  EXPECT_EQ(made.status, 0) << made.output;
  return load(folder / "image");
}

std::vector<std::byte> small_fat(unsigned bits) {
  std::vector<std::byte> image = make_fat(bits, bits == 32 ? 33'500 : 2'500);
  block::RamDisk disk(image);
  Fat fat = *Fat::mount(disk, heap);
  Tree tree;
  EXPECT_TRUE(tree.mount(fat, "", ""));
  EXPECT_TRUE(tree.make_directory(*Path::make(Path(), "/a directory")));
  const std::string contents = pattern(9'000, 1);
  EXPECT_TRUE(tree.write_file(*Path::make(Path(), "/small"), std::as_bytes(std::span(contents).first(3'000))));
  EXPECT_TRUE(tree.write_file(*Path::make(Path(), "/a directory/a file with a long name"), std::as_bytes(std::span(contents))));
  return image;
}

/// Damages a few bytes where the structures are, explores, and repairs.
void mutate(std::vector<std::byte> image, usize most_interesting, unsigned rounds) {
  std::mt19937 random(1);
  const std::vector<std::byte> pristine = image;
  // Bytes that are not zero, nearly all of which mean something.
  std::vector<usize> places;
  for (usize i = 0; i < std::min(image.size(), most_interesting); ++i)
    if (image[i] != std::byte{}) places.push_back(i);
  for (unsigned round = 0; round < rounds; ++round) {
    const unsigned damages = 1 + random() % 4;
    for (unsigned i = 0; i < damages; ++i) {
      const usize at = std::min(places[random() % places.size()] + random() % 3, image.size() - 1);
      constexpr u8 kValues[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0xe5, 0x0f};
      image[at] = random() % 2 ? static_cast<std::byte>(kValues[random() % std::size(kValues)]) : static_cast<std::byte>(random());
    }
    // A copy of exactly this size, so that the sanitizer sees every step outside.
    std::vector<std::byte> copy(image);
    if (random() % 8 == 0) copy.resize(copy.size() / 512 / (1 + random() % 4) * 512);
    block::RamDisk disk(copy);
    if (auto mounted = AnyFileSystem::mount(disk, heap)) Explorer(mounted->get()).explore();
    image = pristine;
  }
}

TEST(Mutation, DamagedFat32IsNoHarm) { mutate(small_fat(32), 400'000, 300); }
TEST(Mutation, DamagedFat16IsNoHarm) { mutate(small_fat(16), 60'000, 1'500); }
TEST(Mutation, DamagedExt4IsNoHarm) { mutate(small_ext4(), 200'000, 1'500); }

TEST(Mutation, DamagedPartitionTablesAreNoHarm) {
  std::mt19937 random(2);
  std::vector<std::byte> image(64 * 512);
  for (unsigned round = 0; round < 20'000; ++round) {
    for (unsigned i = 446; i < 510; ++i) image[i] = random() % 3 == 0 ? static_cast<std::byte>(random()) : std::byte{};
    for (const unsigned entry : {446u, 462u, 478u, 494u}) image[entry] = std::byte{};
    const u8 types[] = {0x05, 0x0f, 0x83, 0xee};
    image[450] = static_cast<std::byte>(types[random() % 4]);
    for (const unsigned byte : {455u, 456u, 457u}) image[byte] = std::byte{};
    image[510] = std::byte{0x55};
    image[511] = std::byte{0xaa};
    // The same table everywhere: chains of logical partitions lead in circles.
    for (usize sector = 1; sector < 64; ++sector) std::copy_n(image.begin(), 512, image.begin() + static_cast<std::ptrdiff_t>(sector * 512));
    block::RamDisk disk(image);
    const auto table = block::read_partitions(disk);
    if (!table) continue;
    for (const block::PartitionRange& range : *table) ASSERT_LE(range.first + range.sectors, disk.sectors());
  }
}

}  // namespace
}  // namespace ax::fs
