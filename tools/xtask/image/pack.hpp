// A folder as an archive: the same content gives the same bytes, whenever, wherever and by whomever it is packed.
#pragma once

#include <filesystem>

namespace ax::xtask {

/// Writes a .tar.gz of what is in `folder`: sorted, owned by root, without times. Throws Failure(Usage) for devices and sockets in it.
void pack_folder(const std::filesystem::path& folder, const std::filesystem::path& archive);

}  // namespace ax::xtask
