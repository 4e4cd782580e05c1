// Images of the user's own, on their way into the local storage.
#pragma once

#include <filesystem>
#include <string>

#include "tools/xtask/image/local_storage.hpp"

namespace ax::xtask {

/// Adds what is at `source` - an absolute path or an address - as `image`, whose SHA-256 it fills in. A folder is packed the same way each
/// time; of an OCI layout (`tag` chooses an image) the layers are put together. Returns the folder it is unpacked to. Throws Failure.
std::filesystem::path import_source(const Console& console, LocalStorage& storage, const FetchSettings& fetch, const std::string& source,
                                    const std::string& tag, RegistryImage image);

}  // namespace ax::xtask
