#include "tools/xtask/image/disk_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/image/file_tree.hpp"
#include "tools/xtask/image/progress.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using FileSystem = DiskPartition::FileSystem;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kAlignment = kMiB / kSectorBytes;
constexpr size_t kCopyBlock = 1 << 16;
constexpr size_t kBootCode = 446;  // bytes before the partitions of a master boot record
constexpr std::uint64_t kSmallestFat32 = 36 * kMiB;  // 65,525 clusters of one sector, and their tables
constexpr std::uint64_t kSmallestExt4 = 8 * kMiB;

/// 1980-01-01, the oldest time that FAT knows.
constexpr std::int64_t kTime = 315'532'800;

// What mke2fs is to do, whatever this machine's /etc/mke2fs.conf says.
constexpr const char* kMke2fsConfig = R"([defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
)";

/// A program of this machine; those of administrators need not be in PATH.
std::string tool(const std::string& name, const std::string& package) {
  for (const std::string& candidate : {name, "/usr/sbin/" + name, "/sbin/" + name}) {
    if (find_program(candidate)) {
      return candidate;
    }
  }
  throw Failure(ExitCode::Environment, fmt::format("disks need {}, which is not here", name), fmt::format("sudo apt-get install {}", package));
}

struct ToolResult {
  int status = 0;
  std::string output;  ///< stdout and stderr
};

ToolResult run_tool(const Argv& argv, EnvironmentChanges environment = {}) {
  environment.insert({{"E2FSPROGS_FAKE_TIME", std::to_string(kTime)}, {"SOURCE_DATE_EPOCH", std::to_string(kTime)}, {"TZ", "UTC"}, {"LC_ALL", "C"}});
  Argv merged{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"};
  merged.insert(merged.end(), argv.begin(), argv.end());
  const CapturedOutput result = capture_command({.argv = merged, .folder = {}, .environment = environment});
  return {result.status, result.output};
}

void need(const ToolResult& result, const Argv& argv, const std::string& what) {
  if (result.status != 0) {
    throw Failure(ExitCode::Failure, fmt::format("{}: {} failed ({}):\n{}", what, argv.front(), result.status, result.output));
  }
}

/// An open image file, which is gone at the end unless it was given its name.
class ImageFile {
 public:
  explicit ImageFile(const fs::path& path) : path_(path) {
    if (path.has_parent_path()) {
      fs::create_directories(path.parent_path());
    }
    temporary_ = path.string() + ".XXXXXX";
    fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
    if (fd_ < 0) {
      fail();
    }
  }
  ~ImageFile() {
    ::close(fd_);
    if (!kept_) ::unlink(temporary_.c_str());
  }
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  void resize(std::uint64_t size) {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) fail();
  }

  void write(std::uint64_t at, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail();
      bytes.remove_prefix(static_cast<size_t>(written));
      at += static_cast<std::uint64_t>(written);
    }
  }

  /// Blocks of zeros become holes.
  void copy(std::uint64_t at, const fs::path& source, std::uint64_t from, std::uint64_t size) {
    std::ifstream stream(source, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(from));
    std::string block(kCopyBlock, '\0');
    for (std::uint64_t done = 0; done < size;) {
      stream.read(block.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(block.size(), size - done)));
      const auto count = static_cast<size_t>(stream.gcount());
      if (count == 0) {
        return;
      }
      const std::string_view part = std::string_view(block).substr(0, count);
      if (part.find_first_not_of('\0') != std::string_view::npos) {
        write(at + done, part);
      }
      done += count;
    }
  }

  void keep(mode_t mode) {
    if (::fchmod(fd_, mode) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
    kept_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
  }

  fs::path path_;
  std::string temporary_;
  int fd_ = -1;
  bool kept_ = false;
};

mode_t new_file_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

// ---- file systems

/// Commands for debugfs, which writes into the file system without mounting it.
std::string ext4_script(const FileTree& tree, const fs::path& scratch) {
  std::string script;
  for (const auto& [path, node] : tree.nodes()) {
    switch (node.kind) {
      case FileTree::Kind::Folder: script += fmt::format("mkdir \"{}\"\n", path); break;
      case FileTree::Kind::Link: script += fmt::format("symlink \"{}\" \"{}\"\n", path, node.target); break;
      case FileTree::Kind::File: script += fmt::format("write \"{}\" \"{}\"\n", node.file(scratch).string(), path); break;
    }
  }
  const auto set = [&](const std::string& path, std::string_view field, std::string_view value) {
    script += fmt::format("set_inode_field \"{}\" {} {}\n", path, field, value);
  };
  const auto set_owner_and_times = [&](const std::string& path) {
    for (const char* field : {"uid", "gid"}) set(path, field, "0");
    for (const char* field : {"atime", "ctime", "mtime", "crtime"}) set(path, field, fmt::format("@{:#x}", kTime));
  };
  set_owner_and_times("/");
  set_owner_and_times("/lost+found");
  for (const auto& [path, node] : tree.nodes()) {
    set_owner_and_times(path);
    if (node.kind == FileTree::Kind::File) {
      set(path, "mode", node.executable ? "0100755" : "0100644");
    }
  }
  return script;
}

/// What debugfs says when all is well is left out; the rest are complaints.
std::string complaints(const std::string& output) {
  std::istringstream lines(output);
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    text += line.starts_with("debugfs") || line.starts_with("Allocated inode:") ? "" : line + "\n";
  }
  return text;
}

[[noreturn]] void too_small(const std::string& what, std::uint64_t size, const FileTree& tree) {
  throw Failure(ExitCode::Usage, fmt::format("{}: {} of content do not fit into {}", what, format_bytes(tree.bytes()), format_bytes(size)),
                "give it a larger 'size', or leave the size out");
}

void make_ext4(const fs::path& image, std::uint64_t size, const DiskPartition& partition, const std::string& what, const FileTree& tree,
               const fs::path& scratch, const std::string& identity) {
  if (size < kSmallestExt4) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {} is too small for ext4: at least {}", what, format_bytes(size), format_bytes(kSmallestExt4)));
  }
  write_file(scratch / "mke2fs.conf", kMke2fsConfig);
  const std::string uuid = format_guid(guid_of_name(identity));
  Argv make{tool("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-U", uuid, "-E", "hash_seed=" + uuid + ",root_owner=0:0,lazy_itable_init=0"};
  if (!partition.label.empty()) {
    make.insert(make.end(), {"-L", partition.label});
  }
  make.push_back(image.string());
  need(run_tool(make, {{"MKE2FS_CONFIG", (scratch / "mke2fs.conf").string()}}), make, what);
  write_file(scratch / "script", ext4_script(tree, scratch));
  const ToolResult filled = run_tool({tool("debugfs", "e2fsprogs"), "-w", "-f", (scratch / "script").string(), image.string()});
  if (const std::string wrong = complaints(filled.output); !wrong.empty() || filled.status != 0) {
    if (wrong.find("allocate") != std::string::npos) {
      too_small(what, size, tree);
    }
    throw Failure(ExitCode::Failure, fmt::format("{}: debugfs: {}", what, wrong));
  }
}

void make_fat32(const fs::path& image, std::uint64_t size, const DiskPartition& partition, const std::string& what, const FileTree& tree,
                const fs::path& scratch, const std::string& identity) {
  constexpr std::uint64_t kLargestFile = 0xffff'ffff;
  if (size < kSmallestFat32) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {} is too small for FAT32: at least {}", what, format_bytes(size), format_bytes(kSmallestFat32)));
  }
  const std::string on_disk = image.string();
  Argv format{tool("mformat", "mtools"), "-i", on_disk, "-F", "-c", "1", "-N", sha256_hex(identity).substr(0, 8)};
  if (size > std::uint64_t{512} * kMiB) {
    format[5] = "8";
  }
  if (!partition.label.empty()) {
    format.insert(format.end(), {"-v", partition.label});
  }
  format.emplace_back("::");
  need(run_tool(format), format, what);
  std::map<std::string, Argv> by_folder;  // files of one folder are one command
  for (const auto& [path, node] : tree.nodes()) {
    if (node.kind == FileTree::Kind::Folder) {
      const Argv make{tool("mmd", "mtools"), "-i", on_disk, "::" + path};
      need(run_tool(make), make, what);
    } else if (node.kind == FileTree::Kind::Link) {
      throw Failure(ExitCode::Usage, fmt::format("{}: {} is a symbolic link, which FAT32 cannot hold", what, path), "use ext4, or copy the file");
    } else if (node.bytes() > kLargestFile) {
      throw Failure(ExitCode::Usage, fmt::format("{}: {} is larger than 4 GiB, which FAT32 cannot hold", what, path), "use ext4");
    }
  }
  for (const auto& [path, node] : tree.nodes()) {
    if (node.kind == FileTree::Kind::File) {
      // mcopy names the copy after the file: each goes by its own path.
      const Argv copy{tool("mcopy", "mtools"), "-m", "-i", on_disk, node.file(scratch).string(), "::" + path};
      const ToolResult copied = run_tool(copy);
      if (copied.output.find("full") != std::string::npos) {
        too_small(what, size, tree);
      }
      need(copied, copy, what);
    }
  }
}

/// Names that differ in nothing but case are one name on FAT.
void check_case(const FileTree& tree, const std::string& what) {
  std::map<std::string, std::string> seen;
  for (const auto& [path, node] : tree.nodes()) {
    std::string lower = path;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (const auto [other, fresh] = seen.try_emplace(lower, path); !fresh) {
      throw Failure(ExitCode::Usage, fmt::format("{}: {} and {} are the same name on FAT32", what, other->second, path));
    }
  }
}

// ---- partitions

struct Place {
  std::uint64_t first = 0;  ///< sector
  std::uint64_t sectors = 0;
};

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }

/// How large a partition is that was given no size: its content, and room to spare.
std::uint64_t natural_size(const DiskPartition& partition, const FileTree& tree) {
  if (partition.file_system == FileSystem::None) {
    return round_up(std::max<std::uint64_t>(partition.source.empty() ? 0 : fs::file_size(partition.source), 1), kMiB);
  }
  const std::uint64_t least = partition.file_system == FileSystem::Fat32 ? kSmallestFat32 : 16 * kMiB;
  return std::max(least, round_up(tree.bytes() + tree.bytes() / 4 + 8 * kMiB, kMiB));
}

std::vector<Place> lay_out(const DiskRecipe& recipe, const std::vector<FileTree>& trees, std::uint64_t* disk_sectors) {
  const bool bare = recipe.table == PartitionTable::Kind::None;
  const std::uint64_t tail = recipe.table == PartitionTable::Kind::Gpt ? kAlignment : 0;
  std::vector<Place> places;
  std::uint64_t next = bare ? 0 : kAlignment;
  const std::uint64_t wanted = recipe.size / kSectorBytes;
  for (size_t i = 0; i < recipe.partitions.size(); ++i) {
    const DiskPartition& partition = recipe.partitions[i];
    std::uint64_t sectors = partition.size / kSectorBytes;
    if (sectors == 0 && wanted != 0) {
      sectors = wanted > next + tail ? (wanted - next - tail) / kAlignment * kAlignment : 0;
      sectors = bare ? wanted : sectors;
    }
    if (sectors == 0 && wanted == 0) {
      sectors = natural_size(partition, trees[i]) / kSectorBytes;
    }
    places.push_back({next, sectors});
    next = bare ? sectors : round_up(next + sectors, kAlignment);
    if (sectors == 0 || (wanted != 0 && next + tail > wanted)) {
      throw Failure(ExitCode::Usage, fmt::format("disk {}: {} are too small for {} partitions and their table", recipe.name,
                                                 format_bytes(recipe.size), recipe.partitions.size()),
                    "give it a larger 'size', or leave it out");
    }
  }
  *disk_sectors = wanted != 0 ? wanted : next + tail;
  return places;
}

PartitionTable make_table(const DiskRecipe& recipe, const std::vector<Place>& places) {
  PartitionTable table{recipe.table, guid_of_name(recipe.name), {}};
  for (size_t i = 0; i < places.size(); ++i) {
    const DiskPartition& partition = recipe.partitions[i];
    table.partitions.push_back({places[i].first, places[i].sectors, partition.type, guid_of_name(fmt::format("{}/{}", recipe.name, i + 1)),
                                0, partition.mbr_type, partition.name});
  }
  return table;
}

FileTree make_tree(const DiskPartition& partition, const ImageSource& images) {
  FileTree tree;
  for (const fs::path& folder : partition.folders) {
    tree.add_folder(folder);
  }
  for (const DiskFile& file : partition.files) {
    file.source.empty() ? tree.add_content(file.path, file.image.empty() ? file.text : images(file.image), file.executable)
                        : tree.add_file(file.path, file.source, file.executable);
  }
  return tree;
}

std::string title_of(const DiskRecipe& recipe, size_t index) {
  const DiskPartition& partition = recipe.partitions[index];
  return fmt::format("disk {}, partition {}{}", recipe.name, index + 1, partition.name.empty() ? "" : " (" + partition.name + ")");
}

std::string read_part(const fs::path& path, std::uint64_t size) {
  std::ifstream stream(path, std::ios::binary);
  std::string bytes(size, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<size_t>(stream.gcount()));
  return bytes;
}

enum class Found { Nothing, Ext, Fat };

Found find_file_system(const fs::path& path) {
  constexpr size_t kExtMagic = 1024 + 56;  // the super block's s_magic
  constexpr size_t kFat32Name = 82;
  constexpr size_t kFat16Name = 54;
  const std::string head = read_part(path, 4096);
  if (head.size() >= kExtMagic + 2 && head.substr(kExtMagic, 2) == "\x53\xef") {
    return Found::Ext;
  }
  const bool fat = head.size() > kFat32Name + 3 && (head.substr(kFat32Name, 3) == "FAT" || head.substr(kFat16Name, 3) == "FAT");
  return fat ? Found::Fat : Found::Nothing;
}

/// The partitions of a disk, or the whole of it as one.
struct DiskLayout {
  PartitionTable table;
  std::vector<Place> places;
};

DiskLayout read_layout(const fs::path& path) {
  if (!fs::is_regular_file(path)) {
    throw Failure(ExitCode::Usage, fmt::format("{}: no such file", path.string()));
  }
  const std::uint64_t sectors = fs::file_size(path) / kSectorBytes;
  DiskLayout layout{decode_table(read_part(path, kGptHeadSectors * kSectorBytes), sectors, path.string()), {}};
  for (const Partition& partition : layout.table.partitions) {
    layout.places.push_back({partition.first, partition.sectors});
  }
  if (layout.table.kind == PartitionTable::Kind::None) {
    layout.places.push_back({0, sectors});
  }
  return layout;
}

/// A copy of a part of a disk, for tools that want a file of their own.
void copy_out(const fs::path& disk, const Place& place, const fs::path& file) {
  ImageFile part(file);
  part.resize(place.sectors * kSectorBytes);
  part.copy(0, disk, place.first * kSectorBytes, place.sectors * kSectorBytes);
  part.keep(0600);
}

/// A master boot record, in which the partition that begins at `first` has another size.
std::string with_other_size(std::string sector, std::uint64_t first, std::uint64_t sectors) {
  constexpr size_t kEntry = 16;
  for (size_t at = kBootCode; at < kBootCode + 4 * kEntry; at += kEntry) {
    std::uint32_t begin = 0;
    std::memcpy(&begin, sector.data() + at + 8, sizeof begin);
    const auto size = static_cast<std::uint32_t>(sectors);
    if (begin == first && sector[at + 4] != 0) {
      std::memcpy(sector.data() + at + 12, &size, sizeof size);
    }
  }
  return sector;
}

/// What the file system's own checker says against it.
std::string problem_of(const fs::path& image, Found found) {
  if (found == Found::Nothing) {
    return {};
  }
  const Argv argv = found == Found::Ext ? Argv{tool("e2fsck", "e2fsprogs"), "-f", "-n", image.string()}
                                        : Argv{tool("fsck.vfat", "dosfstools"), "-n", image.string()};
  const ToolResult result = run_tool(argv);
  return result.status == 0 ? "" : result.output;
}

}  // namespace

void build_disk(const Console& console, const DiskRecipe& recipe, const ImageSource& images, const fs::path& output) {
  const TemporaryFolder scratch;
  std::vector<FileTree> trees;
  for (const DiskPartition& partition : recipe.partitions) {
    trees.push_back(make_tree(partition, images));
  }
  std::uint64_t disk_sectors = 0;
  const std::vector<Place> places = lay_out(recipe, trees, &disk_sectors);
  ImageFile disk(output);
  disk.resize(disk_sectors * kSectorBytes);
  for (size_t i = 0; i < places.size(); ++i) {
    const DiskPartition& partition = recipe.partitions[i];
    const std::string what = title_of(recipe, i);
    const std::uint64_t size = places[i].sectors * kSectorBytes;
    if (partition.file_system == FileSystem::None) {
      if (!partition.source.empty() && fs::file_size(partition.source) > size) {
        throw Failure(ExitCode::Usage, fmt::format("{}: {} does not fit into {}", what, partition.source.string(), format_bytes(size)));
      }
      disk.copy(places[i].first * kSectorBytes, partition.source, 0, size);
      continue;
    }
    console.detail(fmt::format("{}: {} of content into {}", what, format_bytes(trees[i].bytes()), format_bytes(size)));
    const fs::path part = scratch.path() / "part";
    fs::remove(part);
    write_file(part, "");
    fs::resize_file(part, size);
    trees[i].prepare(scratch.path(), kTime);
    const std::string identity = fmt::format("{}/{}/file system", recipe.name, i + 1);
    if (partition.file_system == FileSystem::Fat32) {
      check_case(trees[i], what);
      make_fat32(part, size, partition, what, trees[i], scratch.path(), identity);
    } else {
      make_ext4(part, size, partition, what, trees[i], scratch.path(), identity);
    }
    disk.copy(places[i].first * kSectorBytes, part, 0, size);
  }
  const TableBytes table = encode_table(make_table(recipe, places), disk_sectors);
  disk.write(0, table.head);
  disk.write(disk_sectors * kSectorBytes - table.tail.size(), table.tail);
  disk.keep(new_file_mode());
}

std::vector<CheckedPartition> check_disk(const fs::path& path) {
  const TemporaryFolder scratch;
  const DiskLayout layout = read_layout(path);
  std::vector<CheckedPartition> result;
  for (size_t i = 0; i < layout.places.size(); ++i) {
    const bool bare = layout.table.kind == PartitionTable::Kind::None;
    const std::string name = bare ? "" : layout.table.partitions[i].name;
    fs::path image = path;
    if (!bare) {
      image = scratch.path() / "part";
      copy_out(path, layout.places[i], image);
    }
    const Found found = find_file_system(image);
    result.push_back({bare ? "disk" : fmt::format("partition {}{}", i + 1, name.empty() ? "" : " (" + name + ")"),
                      found == Found::Ext   ? "ext4"
                      : found == Found::Fat ? "fat"
                                            : "",
                      problem_of(image, found)});
  }
  return result;
}

void resize_disk(const Console& console, const fs::path& path, std::uint64_t size) {
  const TemporaryFolder scratch;
  DiskLayout layout = read_layout(path);
  const bool bare = layout.table.kind == PartitionTable::Kind::None;
  const auto last = std::max_element(layout.places.begin(), layout.places.end(), [](const Place& a, const Place& b) { return a.first < b.first; });
  const Place old = *last;
  const std::uint64_t tail = layout.table.kind == PartitionTable::Kind::Gpt ? kAlignment : 0;
  const std::uint64_t sectors = size / kSectorBytes;
  if (sectors <= old.first + tail) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {} leave no room for its last partition, which begins at {}", path.string(),
                                               format_bytes(size), format_bytes(old.first * kSectorBytes)));
  }
  const Place fresh{old.first, bare ? sectors : (sectors - old.first - tail) / kAlignment * kAlignment};
  const fs::path part = scratch.path() / "part";
  copy_out(path, old, part);
  if (find_file_system(part) != Found::Ext) {
    throw Failure(ExitCode::Usage, fmt::format("{}: only ext4 can be given another size, and its last file system is another", path.string()),
                  "change 'size' in its recipe and build it anew: ./xtask image build");
  }
  console.step(fmt::format("{}: {} -> {}", path.string(), format_bytes(fs::file_size(path)), format_bytes(size)));
  const Argv check{tool("e2fsck", "e2fsprogs"), "-f", "-p", part.string()};
  if (const ToolResult checked = run_tool(check); checked.status > 1) {  // 1: mended
    need(checked, check, path.string());
  }
  if (fresh.sectors > old.sectors) {
    fs::resize_file(part, fresh.sectors * kSectorBytes);
  }
  const Argv resize{tool("resize2fs", "e2fsprogs"), part.string(), fmt::format("{}s", fresh.sectors)};
  if (const ToolResult resized = run_tool(resize); resized.status != 0) {
    throw Failure(ExitCode::Usage, fmt::format("{}: its content does not fit into {}:\n{}", path.string(), format_bytes(size), resized.output));
  }
  ImageFile disk(path);
  disk.resize(sectors * kSectorBytes);
  disk.copy(0, path, 0, std::min<std::uint64_t>(old.first * kSectorBytes, size));
  disk.copy(fresh.first * kSectorBytes, part, 0, fresh.sectors * kSectorBytes);
  if (layout.table.kind == PartitionTable::Kind::Gpt) {
    layout.table.partitions[static_cast<size_t>(last - layout.places.begin())].sectors = fresh.sectors;
    const TableBytes table = encode_table(layout.table, sectors);
    disk.write(kBootCode, std::string_view(table.head).substr(kBootCode));
    disk.write(sectors * kSectorBytes - table.tail.size(), table.tail);
  } else if (!bare) {
    disk.write(0, with_other_size(read_part(path, kSectorBytes), old.first, fresh.sectors));
  }
  struct stat status{};
  disk.keep(::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : new_file_mode());
}

}  // namespace ax::xtask
