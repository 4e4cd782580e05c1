#include "tools/xtask/image/unpack.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/oci_layout.hpp"
#include "tools/xtask/image/unpack_target.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
using namespace std::string_view_literals;
namespace {

using ArchiveReader = std::unique_ptr<archive, decltype(&archive_read_free)>;

constexpr size_t kBlock = 1 << 18;
constexpr mode_t kFileMode = 0644;

// OCI image specification, "Image Layer Filesystem Changeset".
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaqueWhiteout = ".wh..wh..opq";

/// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void damaged(const fs::path& path, archive* reader) {
  const char* reason = archive_error_string(reader);
  throw Failure(ExitCode::Failure, fmt::format("cannot unpack {}: {}", path.string(), reason == nullptr ? "it is damaged" : reason),
                "remove it and fetch it again; if that does not help, ask who published it");
}

/// Formats that hold files for others. A RAM disk (cpio) or a CD image is an image itself.
ArchiveReader open_archive(const fs::path& path, int* status) {
  ArchiveReader reader(archive_read_new(), &archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_gnutar(reader.get());
  archive_read_support_format_zip(reader.get());
  archive_read_support_format_7zip(reader.get());
  archive_read_support_format_ar(reader.get());
  *status = archive_read_open_filename(reader.get(), path.c_str(), kBlock);
  return reader;
}

/// Holes stay holes: disk images in archives are mostly empty.
void write_blocks(archive* reader, int fd, const fs::path& path, const UnpackOptions& options) {
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  int status = ARCHIVE_OK;
  while ((status = archive_read_data_block(reader, &data, &size, &offset)) == ARCHIVE_OK) {
    if (options.watch) {
      options.watch(static_cast<std::uint64_t>(archive_filter_bytes(reader, -1)));
    }
    for (size_t done = 0; done < size;) {
      const ssize_t written = ::pwrite(fd, static_cast<const char*>(data) + done, size - done, offset + static_cast<la_int64_t>(done));
      if (written < 0 && errno != EINTR) {
        throw Failure(ExitCode::Environment, fmt::format("cannot unpack {}: {}", path.string(), std::strerror(errno)));
      }
      done += written > 0 ? static_cast<size_t>(written) : 0;
    }
  }
  if (status != ARCHIVE_EOF) {
    damaged(path, reader);
  }
}

void unpack_file(archive* reader, archive_entry* entry, const Descriptor& file, const fs::path& path, const UnpackOptions& options) {
  write_blocks(reader, file.get(), path, options);
  if (archive_entry_size_is_set(entry) && ::ftruncate(file.get(), archive_entry_size(entry)) != 0) {  // a hole at the end
    throw Failure(ExitCode::Environment, fmt::format("cannot unpack {}: {}", path.string(), std::strerror(errno)));
  }
  const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{archive_entry_mtime(entry), 0}};
  ::futimens(file.get(), times.data());
}

void unpack_entry(archive* reader, archive_entry* entry, UnpackTarget& target, const fs::path& path, const UnpackOptions& options) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr) {
    target.refuse("", "is an entry without a name");
  }
  const fs::path place = target.safe_path(name);
  const mode_t mode = archive_entry_mode(entry);
  if (const char* link = archive_entry_hardlink(entry)) {
    target.add_hard_link(place, target.safe_path(link));
    return;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFDIR: target.add_folder(place, mode); return;
    case AE_IFLNK: target.add_symlink(place, archive_entry_symlink(entry)); return;
    case AE_IFREG: break;
    default: target.refuse(name, "is a device, a pipe or a socket");
  }
  const Descriptor file(target.add_file(place, mode));
  unpack_file(reader, entry, file, path, options);
}

/// Whether the entry was the removal of another.
bool apply_whiteout(UnpackTarget& target, const fs::path& place) {
  const std::string name = place.filename().string();
  if (name == kOpaqueWhiteout) {
    target.clear(place.has_parent_path() ? place.parent_path() : fs::path("."));
  } else if (name.starts_with(kWhiteout)) {
    target.remove(place.parent_path() / target.safe_path(name.substr(kWhiteout.size())));
  }
  return name.starts_with(kWhiteout);
}

/// Returns false where no archive format claims the file.
bool unpack_members(const fs::path& path, const fs::path& folder, LinkPolicy policy, bool whiteouts, const UnpackOptions& options) {
  int status = ARCHIVE_OK;
  const ArchiveReader reader = open_archive(path, &status);
  UnpackTarget target(path, folder, policy);
  archive_entry* entry = nullptr;
  bool any = false;
  if (status == ARCHIVE_OK) {
    while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
      any = true;
      const char* name = archive_entry_pathname(entry);
      if (!whiteouts || name == nullptr || !apply_whiteout(target, target.safe_path(name))) {
        unpack_entry(reader.get(), entry, target, path, options);
      }
    }
  }
  if (status != ARCHIVE_EOF && any) {
    damaged(path, reader.get());
  }
  target.finish();
  return status == ARCHIVE_EOF;
}

bool starts_with(const fs::path& path, std::string_view magic) {
  std::string head(magic.size(), '\0');
  std::ifstream(path, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  return head == magic;
}

/// The data of a Debian package, an archive in an archive, goes into a file of its own first.
void unpack_deb(const fs::path& path, const fs::path& target, const UnpackOptions& options) {
  const TemporaryFolder scratch;
  unpack_members(path, scratch.path(), LinkPolicy::Inside, false, options);
  for (const fs::directory_entry& entry : fs::directory_iterator(scratch.path())) {
    if (entry.path().filename().string().starts_with("data.tar")) {
      unpack_members(entry.path(), target, LinkPolicy::RootFileSystem, false, options);
      return;
    }
  }
  throw Failure(ExitCode::Failure, path.string() + ": not a Debian package (no data.tar)");
}

bool looks_compressed(const fs::path& path) {
  return starts_with(path, "\x1f\x8b"sv) || starts_with(path, "\xfd" "7zXZ\0"sv) || starts_with(path, "\x28\xb5\x2f\xfd"sv) ||
         starts_with(path, "BZh"sv);
}

void unpack_single_file(const fs::path& path, const fs::path& folder, const UnpackOptions& options) {
  const ArchiveReader reader(archive_read_new(), &archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  archive_entry* entry = nullptr;
  const int opened = archive_read_open_filename(reader.get(), path.c_str(), kBlock);
  const int status = opened == ARCHIVE_OK ? archive_read_next_header(reader.get(), &entry) : opened;
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) {
    damaged(path, reader.get());
  }
  fs::path name = options.file_name.empty() ? path.filename() : fs::path(options.file_name);
  if (looks_compressed(path) && name.has_extension()) {
    name = name.stem();
  }
  UnpackTarget target(path, folder, LinkPolicy::Inside);
  const Descriptor file(target.add_file(target.safe_path(name.string()), kFileMode));
  if (status == ARCHIVE_OK) {
    write_blocks(reader.get(), file.get(), path, options);
  }
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

void unpack_layer(const fs::path& layer, const fs::path& target, const UnpackOptions& options) {
  if (!unpack_members(layer, target, LinkPolicy::RootFileSystem, true, options)) {
    throw Failure(ExitCode::Failure, layer.string() + ": a layer that is no tar archive");
  }
}

void unpack_archive(const fs::path& path, const fs::path& target, const UnpackOptions& options) {
  fs::create_directories(target);
  if (starts_with(path, "!<arch>\ndebian-binary"sv)) {
    unpack_deb(path, target, options);
    return;
  }
  if (!unpack_members(path, target, LinkPolicy::Inside, false, options)) {
    unpack_single_file(path, target, options);
    return;
  }
  if (is_oci_layout(target)) {
    const fs::path layout = target.string() + ".layout";
    fs::remove_all(layout);
    fs::rename(target, layout);
    fs::create_directories(target);
    try {
      apply_oci_layout(layout, target, options);
    } catch (const Failure& failure) {
      fs::remove_all(layout);
      throw Failure(failure.code(), replace_all(failure.what(), layout.string(), path.string()), failure.hint());
    }
    fs::remove_all(layout);
  }
}

}  // namespace ax::xtask
