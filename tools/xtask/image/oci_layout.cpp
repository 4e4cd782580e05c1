#include "tools/xtask/image/oci_layout.hpp"

#include <fmt/format.h>
#include <re2/re2.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/image/unpack_target.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
using Json = nlohmann::json;
namespace {

constexpr const char* kNameAnnotation = "org.opencontainers.image.ref.name";
constexpr const char* kTitleAnnotation = "org.opencontainers.image.title";
constexpr std::uintmax_t kLargestDocument = 4 << 20;
constexpr int kDeepestIndex = 4;
constexpr mode_t kFileMode = 0644;

[[noreturn]] void damaged(const fs::path& layout, const std::string& reason) {
  throw Failure(ExitCode::Failure, fmt::format("{}: no sound OCI image layout: {}", layout.string(), reason));
}

Json read_document(const fs::path& layout, const fs::path& file) {
  std::error_code error;
  if (fs::file_size(file, error) > kLargestDocument || error) {
    damaged(layout, fmt::format("{} is {}", file.filename().string(), error ? "missing" : "too large"));
  }
  Json document = Json::parse(read_file(file), nullptr, false);
  if (!document.is_object()) {
    damaged(layout, file.filename().string() + " is no JSON object");
  }
  return document;
}

/// A text below nested keys; empty where it is not there.
std::string text_at(const Json& object, std::initializer_list<const char*> keys) {
  const Json* at = &object;
  for (const char* key : keys) {
    if (!at->is_object() || !at->contains(key)) {
      return {};
    }
    at = &(*at)[key];
  }
  return at->is_string() ? at->get<std::string>() : "";
}

/// The file of a descriptor, compared with its digest.
fs::path blob(const fs::path& layout, const Json& descriptor) {
  static const RE2 kDigest("sha256:([0-9a-f]{64})");
  const std::string digest = text_at(descriptor, {"digest"});
  std::string hex;
  if (!RE2::FullMatch(digest, kDigest, &hex)) {
    damaged(layout, fmt::format("'{}' is no SHA-256 digest", digest));
  }
  const fs::path file = layout / "blobs/sha256" / hex;
  if (!fs::is_regular_file(file)) {
    damaged(layout, fmt::format("the blob {} is missing", digest));
  }
  if (const std::string found = sha256_of_file(file); found != hex) {
    damaged(layout, fmt::format("the blob {} has SHA-256 {}", digest, found));
  }
  return file;
}

std::vector<std::string> names_of(const Json& manifests) {
  std::vector<std::string> names;
  for (const Json& manifest : manifests) {
    const std::string name = text_at(manifest, {"annotations", kNameAnnotation});
    names.push_back(name.empty() ? "(without a tag)" : name);
  }
  return names;
}

/// The descriptor that the tag means; an index in the index is looked through when it is the only choice.
Json choose(const fs::path& layout, const Json& index, const std::string& tag, int depth) {
  if (!index.contains("manifests") || !index["manifests"].is_array() || index["manifests"].empty() || depth > kDeepestIndex) {
    damaged(layout, "its index names no image");
  }
  const Json& manifests = index["manifests"];
  const Json* found = manifests.size() == 1 && tag.empty() ? &manifests[0] : nullptr;
  for (const Json& manifest : manifests) {
    const bool named = text_at(manifest, {"annotations", kNameAnnotation}) == tag;
    const bool platform = text_at(manifest, {"platform", "architecture"}) == tag;
    found = !tag.empty() && (named || platform) && found == nullptr ? &manifest : found;
  }
  if (found == nullptr) {
    const std::vector<std::string> names = names_of(manifests);
    const std::string all = fmt::format("{}", fmt::join(names, ", "));
    throw Failure(ExitCode::Usage,
                  tag.empty() ? fmt::format("{} holds several images: choose one of {}", layout.string(), all)
                              : fmt::format("{} has no image '{}'; it has {}{}", layout.string(), tag, all, did_you_mean(tag, names)),
                  "--tag TAG chooses one");
  }
  if (text_at(*found, {"mediaType"}).find("index") != std::string::npos) {
    return choose(layout, read_document(layout, blob(layout, *found)), "", depth + 1);
  }
  return *found;
}

/// Closes `fd`.
void copy_content(const fs::path& file, int fd) {
  constexpr size_t kBlock = 1 << 20;
  std::string block(kBlock, '\0');
  std::ifstream stream(file, std::ios::binary);
  bool written = true;
  while (written && (stream.read(block.data(), kBlock), stream.gcount() > 0)) {
    written = ::write(fd, block.data(), static_cast<size_t>(stream.gcount())) == stream.gcount();
  }
  ::close(fd);
  if (!written) {
    throw Failure(ExitCode::Environment, fmt::format("cannot copy {}: {}", file.string(), std::strerror(errno)));
  }
}

Json chosen_manifest(const fs::path& layout, const std::string& tag) {
  return choose(layout, read_document(layout, layout / "index.json"), tag, 0);
}

}  // namespace

bool is_oci_layout(const fs::path& folder) {
  return fs::is_regular_file(folder / "oci-layout") && fs::is_regular_file(folder / "index.json");
}

std::string oci_digest(const fs::path& layout, const std::string& tag) { return text_at(chosen_manifest(layout, tag), {"digest"}); }

void apply_oci_layout(const fs::path& layout, const fs::path& target, const UnpackOptions& options) {
  const Json manifest = read_document(layout, blob(layout, chosen_manifest(layout, options.tag)));
  if (!manifest.contains("layers") || !manifest["layers"].is_array()) {
    damaged(layout, "its manifest names no layers");
  }
  for (const Json& layer : manifest["layers"]) {
    const fs::path file = blob(layout, layer);
    const std::string title = text_at(layer, {"annotations", kTitleAnnotation});
    if (title.empty() || text_at(layer, {"mediaType"}).find("tar") != std::string::npos) {
      unpack_layer(file, target, options);
      continue;
    }
    UnpackTarget folder(layout, target, LinkPolicy::RootFileSystem);
    copy_content(file, folder.add_file(folder.safe_path(title), kFileMode));
  }
}

}  // namespace ax::xtask
