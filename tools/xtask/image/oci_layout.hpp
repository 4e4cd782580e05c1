// OCI image layouts (image-spec v1.1): a folder with oci-layout, index.json and blobs by digest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/xtask/image/unpack.hpp"

namespace ax::xtask {

bool is_oci_layout(const std::filesystem::path& folder);

/// Puts the layers of the image `options.tag` (or the only one) into `target`, each compared with its digest. A layer that is no
/// archive but has a title is a file of that name. Throws Failure(Usage) where the tag is missing or unknown,
/// Failure(Failure) where the layout is damaged.
void apply_oci_layout(const std::filesystem::path& layout, const std::filesystem::path& target, const UnpackOptions& options);

/// The digest of the image's manifest, "sha256:...": names everything that belongs to it.
std::string oci_digest(const std::filesystem::path& layout, const std::string& tag);

}  // namespace ax::xtask
