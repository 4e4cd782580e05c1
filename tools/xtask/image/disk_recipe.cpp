#include "tools/xtask/image/disk_recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using FileSystem = DiskPartition::FileSystem;

struct PartitionType {
  std::string_view name;
  std::string_view guid;
  unsigned char mbr;
};

// UEFI 2.10, table 5.7; the Discoverable Partitions Specification; what Linux's fdisk writes.
constexpr std::array kTypes{
    PartitionType{"esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 0xef},
    PartitionType{"linux", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", 0x83},
    PartitionType{"data", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", 0x0c},
};
constexpr std::array<std::pair<std::string_view, FileSystem>, 3> kFileSystems{
    {{"none", FileSystem::None}, {"ext4", FileSystem::Ext4}, {"fat32", FileSystem::Fat32}}};
constexpr std::array<std::pair<std::string_view, PartitionTable::Kind>, 3> kTables{
    {{"none", PartitionTable::Kind::None}, {"mbr", PartitionTable::Kind::Mbr}, {"gpt", PartitionTable::Kind::Gpt}}};
constexpr size_t kMostMbrPartitions = 4;
constexpr size_t kMostGptPartitions = 128;

template <class Value, size_t Count>
Value one_of(TomlReader& reader, std::string_view key, std::string_view fallback,
             const std::array<std::pair<std::string_view, Value>, Count>& choices) {
  const std::string text = reader.string(key).value_or(std::string(fallback));
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) {
    if (name == text) {
      return value;
    }
    names.emplace_back(name);
  }
  reader.fail(key, fmt::format("'{}' is none of {}{}", text, fmt::join(names, ", "), did_you_mean(text, names)));
}

std::uint64_t read_size(TomlReader& reader, std::string_view key) {
  const std::optional<std::string> text = reader.string(key);
  const std::uint64_t size = text ? parse_size(*text) : 0;
  if (text && size == 0) {
    reader.fail(key, fmt::format("'{}' is no size as in 64M: a number with K, M, G or T", *text));
  }
  if (size % kSectorBytes != 0) {
    reader.fail(key, fmt::format("{} is no multiple of {} bytes", size, kSectorBytes));
  }
  return size;
}

void read_type(TomlReader& reader, DiskPartition& partition) {
  const std::string fallback = partition.file_system == FileSystem::Fat32 ? "data" : "linux";
  const std::string text = reader.string("type").value_or(fallback);
  for (const PartitionType& type : kTypes) {
    if (type.name == text) {
      partition.type = parse_guid(type.guid);
      partition.mbr_type = type.mbr;
      return;
    }
  }
  partition.type = parse_guid(text);
  partition.mbr_type = 0x83;
  if (partition.type == Guid{}) {
    reader.fail("type", fmt::format("'{}' is none of esp, linux, data, and no GUID", text));
  }
}

/// Absolute, without "..", so that it names one place.
std::string disk_path(TomlReader& reader) {
  const std::string text = reader.required_string("path");
  const fs::path path(text);
  const bool plain = path.is_absolute() && path == path.lexically_normal() && path.has_filename() && text.find_first_of("\"\n\\") == std::string::npos;
  if (!plain) {
    reader.fail("path", fmt::format("'{}' must be the absolute path of a file on the disk, as in /guest/linux/Image", text));
  }
  return text;
}

fs::path existing(TomlReader& reader, std::string_view key, const fs::path& folder, const std::string& text, bool wants_folder) {
  fs::path path = (folder / text).lexically_normal();
  if (!fs::exists(path)) {
    reader.fail(key, fmt::format("{} does not exist", path.string()));
  }
  if (fs::is_directory(path) != wants_folder) {
    reader.fail(key, fmt::format("{} is {} folder", path.string(), wants_folder ? "no" : "a"));
  }
  return path;
}

DiskFile read_file_entry(TomlReader& reader, const fs::path& folder) {
  DiskFile file;
  file.path = disk_path(reader);
  const std::optional<std::string> image = reader.string("image");
  const std::optional<std::string> source = reader.string("source");
  const std::optional<std::string> text = reader.string("text");
  file.executable = reader.boolean("executable").value_or(false);
  if (int{image.has_value()} + int{source.has_value()} + int{text.has_value()} != 1) {
    reader.fail("path", fmt::format("say what {} is: one of 'source' (a file), 'image' (a recipe) and 'text'", file.path));
  }
  file.image = image.value_or("");
  file.text = text.value_or("");
  if (source) {
    file.source = existing(reader, "source", folder, *source, false);
  }
  reader.finish();
  return file;
}

DiskPartition read_partition(const TomlTable& table, const fs::path& path) {
  const fs::path folder = path.parent_path();
  TomlReader reader(table, path.string());
  DiskPartition partition;
  partition.name = reader.string("name").value_or("");
  partition.file_system = one_of(reader, "filesystem", "none", kFileSystems);
  partition.size = read_size(reader, "size");
  read_type(reader, partition);
  partition.label = reader.string("label").value_or("");
  const size_t longest = partition.file_system == FileSystem::Fat32 ? 11 : 16;
  if (partition.label.size() > longest) {
    reader.fail("label", fmt::format("'{}' is longer than {} characters", partition.label, longest));
  }
  for (const std::string& text : reader.strings("folders")) {
    partition.folders.push_back(existing(reader, "folders", folder, text, true));
  }
  for (const TomlTable* file : reader.tables("files")) {
    TomlReader fields(*file, path.string());
    partition.files.push_back(read_file_entry(fields, folder));
  }
  if (const std::optional<std::string> source = reader.string("source")) {
    partition.source = existing(reader, "source", folder, *source, false);
  }
  reader.finish();
  const bool raw = partition.file_system == FileSystem::None;
  if (raw && (!partition.folders.empty() || !partition.files.empty())) {
    reader.fail("filesystem", "files and folders need one: \"ext4\" or \"fat32\"");
  }
  if (!raw && !partition.source.empty()) {
    reader.fail("source", "is for a partition without a file system; use [[partitions.files]]");
  }
  return partition;
}

}  // namespace

std::uint64_t parse_size(std::string_view text) {
  constexpr std::string_view kUnits = "KMGT";
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 44;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  const size_t place = unit.empty() ? 0 : kUnits.find(unit);
  if (error != std::errc() || place == std::string_view::npos || unit.size() > 1) {
    return 0;
  }
  const unsigned shift = unit.empty() ? 0 : 10 * (static_cast<unsigned>(place) + 1);
  return number <= (kLargest >> shift) ? number << shift : 0;
}

DiskRecipe load_disk_recipe(const fs::path& path) {
  const TomlTable table = load_toml(path);
  TomlReader reader(table, path.string());
  DiskRecipe recipe;
  recipe.name = path.stem().string();
  if (reader.required_string("kind") != "disk") {
    reader.fail("kind", "must be \"disk\" in a recipe for a disk");
  }
  recipe.summary = reader.string("summary").value_or("");
  recipe.size = read_size(reader, "size");
  recipe.table = one_of(reader, "table", "gpt", kTables);
  for (const TomlTable* partition : reader.tables("partitions")) {
    recipe.partitions.push_back(read_partition(*partition, fs::absolute(path)));
  }
  reader.finish();
  const size_t count = recipe.partitions.size();
  const size_t most = recipe.table == PartitionTable::Kind::None  ? 1
                      : recipe.table == PartitionTable::Kind::Mbr ? kMostMbrPartitions
                                                                  : kMostGptPartitions;
  if (count == 0 || count > most) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {} [[partitions]]: this table holds 1 to {}", path.string(), count, most));
  }
  for (size_t i = 0; i + 1 < count; ++i) {
    if (recipe.partitions[i].size == 0) {
      throw Failure(ExitCode::Usage, fmt::format("{}: partition {} needs a 'size': only the last one may take the rest", path.string(), i + 1));
    }
  }
  return recipe;
}

std::vector<std::string> disk_recipe_names(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "configs/disks", none)) {
    if (entry.path().extension() == ".toml") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path disk_recipe_path(const fs::path& root, const std::string& name) {
  const std::vector<std::string> names = disk_recipe_names(root);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string other = did_you_mean(name, names);
    if (const bool meant_a_file = name.find_first_of("./") != std::string::npos; meant_a_file && other.empty()) {
      throw Failure(ExitCode::Usage, missing_path(fs::absolute(name).lexically_normal()), "a recipe is a file, or a name in configs/disks");
    }
    throw Failure(ExitCode::Usage, fmt::format("'{}' is neither a file nor a recipe of configs/disks{}", name, other),
                  names.empty() ? "docs/images.md says what a recipe is" : fmt::format("there are: {}", fmt::join(names, ", ")));
  }
  return root / "configs/disks" / (name + ".toml");
}

}  // namespace ax::xtask
