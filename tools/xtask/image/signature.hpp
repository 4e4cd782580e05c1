// Ed25519 signatures over registry files.
#pragma once

#include <string>
#include <string_view>

namespace ax::xtask {

/// Whether `signature` (64 bytes as they are, or in base64) is that of `content` by the key. `public_key` is what .image.toml
/// says: base64 of the 32 bytes, of the SubjectPublicKeyInfo (the line in a PEM file), or the whole PEM text. Throws Failure(Usage)
/// where it is no Ed25519 key.
bool signature_fits(std::string_view content, std::string_view signature, const std::string& public_key);

}  // namespace ax::xtask
