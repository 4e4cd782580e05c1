#include "tools/xtask/image/pack.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using ArchiveWriter = std::unique_ptr<archive, decltype(&archive_write_free)>;
using ArchiveEntry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

constexpr size_t kBlock = 1 << 20;

void check(archive* writer, la_ssize_t result, const fs::path& path) {
  if (result < ARCHIVE_OK) {
    throw Failure(ExitCode::Environment, fmt::format("cannot pack {}: {}", path.string(), archive_error_string(writer)));
  }
}

void add_content(archive* writer, const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw Failure(ExitCode::Usage, fmt::format("cannot pack {}: not readable", path.string()));
  }
  std::string block(kBlock, '\0');
  while (stream.read(block.data(), kBlock), stream.gcount() > 0) {
    check(writer, archive_write_data(writer, block.data(), static_cast<size_t>(stream.gcount())), path);
  }
}

void add(archive* writer, const fs::path& folder, const fs::path& path) {
  const fs::file_status status = fs::symlink_status(folder / path);
  const ArchiveEntry entry(archive_entry_new(), &archive_entry_free);
  archive_entry_set_pathname(entry.get(), path.c_str());
  archive_entry_set_mtime(entry.get(), 0, 0);
  const mode_t permissions = static_cast<mode_t>(status.permissions()) & 0777;
  switch (status.type()) {
    case fs::file_type::directory: archive_entry_set_mode(entry.get(), S_IFDIR | permissions); break;
    case fs::file_type::symlink:
      archive_entry_set_mode(entry.get(), S_IFLNK | 0777);
      archive_entry_set_symlink(entry.get(), fs::read_symlink(folder / path).c_str());
      break;
    case fs::file_type::regular:
      archive_entry_set_mode(entry.get(), S_IFREG | permissions);
      archive_entry_set_size(entry.get(), static_cast<la_int64_t>(fs::file_size(folder / path)));
      break;
    default: throw Failure(ExitCode::Usage, fmt::format("cannot pack {}: it is no file, folder or link", (folder / path).string()));
  }
  check(writer, archive_write_header(writer, entry.get()), path);
  if (status.type() == fs::file_type::regular) {
    add_content(writer, folder / path);
  }
}

}  // namespace

void pack_folder(const fs::path& folder, const fs::path& archive_path) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    paths.push_back(entry.path().lexically_relative(folder));
  }
  std::sort(paths.begin(), paths.end());
  const ArchiveWriter writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_add_filter_gzip(writer.get());
  archive_write_set_filter_option(writer.get(), "gzip", "timestamp", nullptr);
  check(writer.get(), archive_write_open_filename(writer.get(), archive_path.c_str()), archive_path);
  for (const fs::path& path : paths) {
    add(writer.get(), folder, path);
  }
  check(writer.get(), archive_write_close(writer.get()), archive_path);
}

}  // namespace ax::xtask
