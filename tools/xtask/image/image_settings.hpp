// .image.toml: where registry images come from and where they are kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace ax::xtask {

constexpr std::chrono::seconds kLongestThreshold{100LL * 366 * 24 * 60 * 60};  // of auto_sync_threshold

struct ImageSettings {
  std::filesystem::path local_storage;  ///< absolute
  std::string registry;                 ///< an address, or a path
  bool auto_sync = true;
  std::chrono::seconds auto_sync_threshold{7 * 24 * 60 * 60};  ///< 0: an old list is as good as a new one
  std::string public_key;         ///< base64 of an Ed25519 key (32 bytes, or as SubjectPublicKeyInfo), or PEM; empty: no signatures
  std::filesystem::path ca_file;  ///< absolute; empty: the system's certificates
  std::chrono::seconds timeout{30};
  int jobs = 4;
};

ImageSettings default_image_settings();

std::filesystem::path image_settings_path(const std::filesystem::path& root);
/// The file's settings; defaults where the file, or a key, is not there. Relative paths are relative to the file. Throws
/// Failure(Usage) with file, line and reason.
ImageSettings load_image_settings(const std::filesystem::path& path);
/// The text of a file with these settings and a comment for each key.
std::string format_image_settings(const ImageSettings& settings);

}  // namespace ax::xtask
