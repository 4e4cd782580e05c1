#include "tests/xtask/archives.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

namespace ax::xtask::test {
namespace {

la_ssize_t append(archive*, void* sink, const void* data, size_t size) {
  static_cast<std::string*>(sink)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

std::string make_tar(const std::vector<ArchiveMember>& members) {
  std::string result;
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  archive_write_add_filter_gzip(writer);
  archive_write_set_filter_option(writer, "gzip", "timestamp", nullptr);
  archive_write_set_filter_option(writer, "gzip", "compression-level", "1");
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open(writer, &result, nullptr, &append, nullptr);
  for (const ArchiveMember& member : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.path.c_str());
    archive_entry_set_mode(entry, (member.type != 0 ? member.type : S_IFREG) | member.mode);
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.content.size()));
    if (!member.link.empty()) {
      archive_entry_set_mode(entry, S_IFLNK | 0777);
      archive_entry_set_symlink(entry, member.link.c_str());
    }
    if (!member.hard_link.empty()) {
      archive_entry_set_hardlink(entry, member.hard_link.c_str());
    }
    archive_write_header(writer, entry);
    archive_write_data(writer, member.content.data(), member.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return result;
}

}  // namespace ax::xtask::test
