#include "tests/xtask/oci.hpp"

#include <fmt/format.h>

#include "tests/xtask/archives.hpp"
#include "tests/xtask/support.hpp"

namespace ax::xtask::test {

OciLayout::OciLayout() { files["oci-layout"] = R"({"imageLayoutVersion": "1.0.0"})"; }

std::string OciLayout::blob(const std::string& content) {
  files[blob_path(content)] = content;
  return fmt::format(R"("digest": "sha256:{}", "size": {})", sha256_hex(content), content.size());
}

std::string OciLayout::manifest(const std::vector<std::string>& layers) {
  std::string list;
  for (const std::string& layer : layers) {
    list += (list.empty() ? "" : ", ") + std::string("{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar+gzip\", ") + blob(layer) + "}";
  }
  return blob(R"({"schemaVersion": 2, "layers": [)" + list + "]}");
}

std::string OciLayout::manifest_of_file(const std::string& title, const std::string& content) {
  return blob(R"({"schemaVersion": 2, "layers": [{"mediaType": "application/octet-stream", )" + blob(content) +
              R"(, "annotations": {"org.opencontainers.image.title": ")" + title + "\"}}]}");
}

std::string OciLayout::index(const std::string& descriptors) {
  return R"("mediaType": "application/vnd.oci.image.index.v1+json", )" + blob(R"({"schemaVersion": 2, "manifests": [)" + descriptors + "]}");
}

void OciLayout::choose(const std::string& descriptors) {
  files["index.json"] = R"({"schemaVersion": 2, "manifests": [)" + descriptors + "]}";
}

std::string OciLayout::tagged(const std::string& inside, const std::string& tag) {
  return "{" + inside + R"(, "annotations": {"org.opencontainers.image.ref.name": ")" + tag + "\"}}";
}

void OciLayout::write(const std::string& folder) const {
  for (const auto& [path, content] : files) {
    write_file(std::filesystem::path(folder) / path, content);
  }
}

std::string OciLayout::tar() const {
  std::vector<ArchiveMember> members;
  for (const auto& [path, content] : files) {
    members.push_back({.path = path, .content = content});
  }
  return make_tar(members);
}

std::string blob_path(const std::string& content) { return "blobs/sha256/" + sha256_hex(content); }

}  // namespace ax::xtask::test
