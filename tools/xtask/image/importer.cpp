#include "tools/xtask/image/importer.hpp"

#include <fmt/format.h>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/oci_layout.hpp"
#include "tools/xtask/image/pack.hpp"
#include "tools/xtask/image/unpack.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPacked = "image.tar.gz";

/// A folder as an archive.
fs::path packed_folder(const fs::path& source, const std::string& tag, const fs::path& scratch) {
  fs::path folder = source;
  if (is_oci_layout(source)) {
    folder = scratch / "layers";
    fs::create_directories(folder);
    apply_oci_layout(source, folder, {.watch = {}, .tag = tag, .file_name = {}});
  }
  pack_folder(folder, scratch / kPacked);
  return scratch / kPacked;
}

}  // namespace

fs::path import_source(const Console& console, LocalStorage& storage, const FetchSettings& fetch, const std::string& source,
                       const std::string& tag, RegistryImage image) {
  const TemporaryFolder scratch;
  fs::path file = source;
  if (source.find("://") != std::string::npos) {
    file = scratch.path() / "download" / source.substr(source.rfind('/') + 1);
    const FileRequest request{image.title(), source, "", file};
    Fetcher(console, fetch).files({&request, 1});
  }
  if (!fs::exists(file)) {
    throw Failure(ExitCode::Usage, "cannot import: " + missing_path(file), "SOURCE is a file, a folder, or an address");
  }
  if (fs::is_directory(file)) {
    file = packed_folder(file, tag, scratch.path());
  } else {
    // Through a folder once: an archive that cannot be unpacked, or holds what it should not, is no image. What is kept then is
    // the same for every kind of source.
    const fs::path folder = scratch.path() / "content";
    unpack_archive(file, folder, {.watch = {}, .tag = tag, .file_name = {}});
    pack_folder(folder, scratch.path() / kPacked);
    file = scratch.path() / kPacked;
  }
  image.sha256 = sha256_of_file(file);
  return storage.add(image, file);
}

}  // namespace ax::xtask
