// What a disk is made of: configs/disks/NAME.toml, or a file anywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/xtask/image/gpt.hpp"

namespace ax::xtask {

/// One file for a disk: exactly one of image, source and text says what is in it.
struct DiskFile {
  std::string path;               ///< on the disk, absolute
  std::string image;              ///< a recipe of configs/images
  std::filesystem::path source;   ///< absolute
  std::string text;
  bool executable = false;
};

struct DiskPartition {
  enum class FileSystem { None, Ext4, Fat32 };
  std::string name;
  FileSystem file_system = FileSystem::None;
  std::uint64_t size = 0;  ///< bytes; 0: the rest of the disk
  Guid type{};
  unsigned char mbr_type = 0;
  std::string label;
  std::vector<std::filesystem::path> folders;  ///< absolute; what is in them, the later ones over the earlier
  std::vector<DiskFile> files;
  std::filesystem::path source;  ///< FileSystem::None: the bytes of the partition
};

struct DiskRecipe {
  std::string name;
  std::string summary;
  std::uint64_t size = 0;  ///< bytes; 0: as large as its partitions are
  PartitionTable::Kind table = PartitionTable::Kind::Gpt;
  std::vector<DiskPartition> partitions;  ///< Kind::None: exactly one
};

/// "64M": K, M, G and T are powers of 1024. Nothing (0) where it is no size.
std::uint64_t parse_size(std::string_view text);

/// Relative paths in the file are relative to it. Throws Failure(Usage) with file, line, reason.
DiskRecipe load_disk_recipe(const std::filesystem::path& path);

/// Names in configs/disks.
std::vector<std::string> disk_recipe_names(const std::filesystem::path& root);
/// The file of a name in configs/disks. Throws Failure(Usage) that suggests one.
std::filesystem::path disk_recipe_path(const std::filesystem::path& root, const std::string& name);

}  // namespace ax::xtask
