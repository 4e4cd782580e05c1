// An empty disk for a guest: FAT32, made without mkfs and without root.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "kernel/base/types.hpp"

namespace ax::app {

inline constexpr u64 kDiskBytes = 64_MiB;

/// Writes a FAT32 file system of kDiskBytes without files. A disk that is there is left alone. The file is sparse,
/// appears as a whole, and is the same every time. Error: a sentence for the user.
std::expected<void, std::string> make_disk_image(const std::filesystem::path& path);

}  // namespace ax::app
