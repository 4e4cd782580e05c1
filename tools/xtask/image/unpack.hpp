// Archives that come from somebody else, unpacked into a folder that nothing can lead out of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace ax::xtask {

struct UnpackOptions {
  /// Called now and then with the bytes of the archive read so far; throws to end the work.
  std::function<void(std::uint64_t bytes)> watch{};
  /// Which of several images of an OCI layout; empty: the only one.
  std::string tag{};
  /// What the file is called when `archive` is no archive; empty: as the archive.
  std::string file_name{};
};

/// Unpacks `archive` into the new, empty folder `target`: tar, zip and 7z in any compression, the data of a Debian package, the
/// layers of an OCI image layout in an archive. Anything else is one file, which is decompressed. Owners are those of the user, set-id bits
/// are dropped. Throws Failure(Failure) for a damaged archive, and for entries that have no business in one: absolute
/// or ".." paths, links that lead out, devices. What was unpacked then stays in `target` for the caller to remove.
void unpack_archive(const std::filesystem::path& archive, const std::filesystem::path& target, const UnpackOptions& options = {});

/// Puts one layer of an OCI image over what is in `target`: files that say that others are gone remove them.
void unpack_layer(const std::filesystem::path& layer, const std::filesystem::path& target, const UnpackOptions& options = {});

}  // namespace ax::xtask
