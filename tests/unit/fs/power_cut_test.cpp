// The power fails after every single write of a workload: what is on the disk then is in order, and nothing that was finished is
// lost.
#include <map>
#include <regex>
#include <sstream>

#include "kernel/fs/fat.hpp"
#include "kernel/fs/tree.hpp"
#include "tests/unit/fs/images.hpp"

namespace ax::fs {
namespace {

using namespace test;

/// A disk that remembers every sector that is written, in order.
class RecordingDisk final : public block::Device {
 public:
  struct Write {
    u64 sector;
    std::vector<std::byte> bytes;
  };
  explicit RecordingDisk(std::vector<std::byte>& image) : Device(image.size() / block::kSectorSize, true), disk_(image) {}
  Result<void> flush() override { return {}; }
  std::vector<Write> writes;

 private:
  Result<void> do_read(u64 sector, std::span<std::byte> data) override { return disk_.read(sector, data); }
  Result<void> do_write(u64 sector, std::span<const std::byte> data) override {
    for (usize at = 0; at < data.size(); at += block::kSectorSize) {
      const auto one = data.subspan(at, block::kSectorSize);
      writes.push_back({sector + at / block::kSectorSize, {one.begin(), one.end()}});
    }
    return disk_.write(sector, data);
  }
  block::RamDisk disk_;
};

using Files = std::map<std::string, std::string>;

/// Changes one thing after the other, and remembers what the files are after each.
class Workload {
 public:
  explicit Workload(std::vector<std::byte>& image) : disk(image) {
    fat.emplace(std::move(*Fat::mount(disk, heap)));
    EXPECT_TRUE(tree.mount(*fat, "", "test"));
    note();
  }
  void write(const std::string& name, const std::string& contents) {
    EXPECT_TRUE(tree.write_file(path(name), std::as_bytes(std::span(contents))));
    files[name] = contents;
    note();
  }
  void directory(const std::string& name) {
    EXPECT_TRUE(tree.make_directory(path(name)));
    note();
  }
  void remove(const std::string& name) {
    EXPECT_TRUE(tree.remove(path(name)));
    files.erase(name);
    note();
  }
  void rename(const std::string& from, const std::string& to) {
    const auto parent = tree.find_parent(path(from));
    EXPECT_TRUE(fat->rename(parent->node, path(from).name(), path(to).name()));
    files[to] = files[from];
    files.erase(from);
    note();
  }
  void append(const std::string& name, const std::string& more) {
    auto file = tree.find(path(name));
    EXPECT_TRUE(fat->write(file->node, file->node.size, std::as_bytes(std::span(more))));
    EXPECT_TRUE(fat->commit(file->node));
    EXPECT_TRUE(fat->sync());
    files[name] += more;
    note();
  }

  /// After so many writes the files were these.
  std::map<usize, Files> states;
  RecordingDisk disk;

 private:
  static Path path(const std::string& name) { return *Path::make(Path(), name); }
  void note() { states[disk.writes.size()] = files; }

  std::optional<Fat> fat;
  Tree tree;
  Files files;
};

/// Lines of fsck.vfat that name what a power cut may leave.
std::string what_is_wrong(const std::string& report, bool appends) {
  static const std::regex kHarmless(
      "fsck\\.fat .*|.*FATs differ but appear to be intact.*|  ?Using first FAT.*|.*[Rr]eclaimed \\d+ unused cluster.*|.*Free cluster summary.*"
      "|.*Auto-setting.*|Leaving filesystem unchanged.*|Leaving file system unchanged.*|.*\\d+ files, \\d+/\\d+ clusters.*|\\s*|Performing changes.*"
      "|Starting check/repair pass.*|Starting verification pass.*|\\*\\*\\* Filesystem was changed.*|.*Checking for unused clusters.*|.*Not automatically.*|Automatically.*");
  static const std::regex kAppended(".*(File size is \\d+ bytes, cluster chain length is > \\d+ bytes|Truncating file to \\d+ bytes).*|/.*");
  std::string wrong;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);)
    if (!std::regex_match(line, kHarmless) && !(appends && std::regex_match(line, kAppended))) wrong += line + "\n";
  return wrong;
}

std::string contents_of(std::vector<std::byte>& image, const std::string& name) {
  block::RamDisk disk(image);
  Fat fat = *Fat::mount(disk, heap);
  Tree tree;
  EXPECT_TRUE(tree.mount(fat, "", "test"));
  auto found = tree.find(*Path::make(Path(), name));
  if (!found) return "error: " + std::string(describe(found.error()));
  std::string out(found->node.size, 0);
  const auto read = fat.read(found->node, 0, std::as_writable_bytes(std::span(out)));
  return read ? out : "error: " + std::string(describe(read.error()));
}

void cut_everywhere(std::vector<std::byte> image, Workload& workload, bool appends) {
  const Folder folder;
  save(folder / "image", image);
  std::fstream file(folder / "image", std::ios::in | std::ios::out | std::ios::binary);
  for (usize count = 0; count <= workload.disk.writes.size(); ++count) {
    if (count != 0) {
      const auto& write = workload.disk.writes[count - 1];
      std::ranges::copy(write.bytes, image.begin() + static_cast<std::ptrdiff_t>(write.sector * block::kSectorSize));
      file.seekp(static_cast<std::streamoff>(write.sector * block::kSectorSize));
      file.write(reinterpret_cast<const char*>(write.bytes.data()), static_cast<std::streamsize>(write.bytes.size())).flush();
    }
    const Outcome outcome = run("fsck.vfat -n " + (folder / "image").string());
    ASSERT_EQ(what_is_wrong(outcome.output, appends), "") << "after " << count << " writes:\n" << outcome.output;
    // Every file that is the same before and after the step that was cut is as it was.
    const auto after = workload.states.lower_bound(count);
    const auto before = after->first == count ? after : std::prev(after);
    for (const auto& [name, contents] : before->second) {
      if (const auto later = after->second.find(name); later == after->second.end()) continue;
      const std::string found = contents_of(image, name);
      ASSERT_TRUE(found == contents || found == after->second.at(name)) << name << " after " << count << " writes has " << found.size() << " bytes";
    }
  }
}

TEST(PowerCut, LeavesFat32InOrderAfterEveryWrite) {
  std::vector<std::byte> image = make_fat(32, 33'500);
  const std::vector<std::byte> before = image;
  Workload w(image);
  w.directory("/guest");
  w.write("/guest/first file of some length.txt", pattern(3'000, 1));
  w.write("/SHORT.TXT", pattern(10, 2));
  for (unsigned i = 0; i < 9; ++i) w.write("/guest/another file with a long name " + std::to_string(i), pattern(600, i));
  w.write("/SHORT.TXT", pattern(2'000, 3));
  w.rename("/SHORT.TXT", "/A longer name.text");
  w.remove("/guest/another file with a long name 3");
  w.write("/guest/fills the gap", pattern(100, 4));
  w.directory("/guest/deeper");
  w.write("/guest/deeper/x", "x");
  w.remove("/guest/deeper/x");
  w.remove("/guest/deeper");
  cut_everywhere(before, w, false);
}

TEST(PowerCut, LeavesFat16InOrderAfterEveryWrite) {
  std::vector<std::byte> image = make_fat(16, 2'500);
  const std::vector<std::byte> before = image;
  Workload w(image);
  w.write("/first file of some length.txt", pattern(3'000, 1));
  w.directory("/d");
  w.write("/d/file", pattern(900, 2));
  w.write("/first file of some length.txt", pattern(700, 3));
  w.remove("/d/file");
  w.remove("/d");
  cut_everywhere(before, w, false);
}

TEST(PowerCut, KeepsAFileThatIsAppendedTo) {
  std::vector<std::byte> image = make_fat(16, 2'500);
  const std::vector<std::byte> before = image;
  Workload w(image);
  w.write("/log", pattern(300, 1));
  for (unsigned i = 0; i < 6; ++i) w.append("/log", pattern(400, i));
  cut_everywhere(before, w, true);
}

}  // namespace
}  // namespace ax::fs
