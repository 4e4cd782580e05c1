// Disks as files: made from a recipe, checked, and made larger or smaller; as an ordinary user, without mounting anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/image/disk_recipe.hpp"

namespace ax::xtask {

/// The content of `image = "NAME"`.
using ImageSource = std::function<std::string(const std::string& name)>;

/// Writes the disk in one step. The same recipe and content give the same bytes: identifiers come from the recipe's name, times are
/// fixed, owners are root. The file is sparse. Throws Failure(Usage) for what does not fit, Failure(Environment) where a tool is missing.
void build_disk(const Console& console, const DiskRecipe& recipe, const ImageSource& images, const std::filesystem::path& output);

struct CheckedPartition {
  std::string name;         ///< "partition 1 (boot)", "disk"
  std::string file_system;  ///< "ext4", "fat", "" for neither
  std::string problem;      ///< what the file system's own checker said; empty: sound
};
/// Partition table and file systems. Throws Failure(Failure) for a damaged table.
std::vector<CheckedPartition> check_disk(const std::filesystem::path& path);

/// Gives the disk another size; its last partition, or the file system over the whole of it, gets it all. In one step: at an error the
/// disk is as it was. Throws Failure(Usage) for a file system that cannot, or content that does not fit.
void resize_disk(const Console& console, const std::filesystem::path& path, std::uint64_t size);

}  // namespace ax::xtask
