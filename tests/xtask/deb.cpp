#include "tests/xtask/deb.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask::test {
namespace {

la_ssize_t append(archive*, void* sink, const void* data, size_t size) {
  static_cast<std::string*>(sink)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

using Files = std::vector<std::pair<std::string, std::string>>;

std::string pack(archive* writer, const Files& files) {
  std::string result;
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open(writer, &result, nullptr, &append, nullptr);
  for (const auto& [path, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_mode(entry, S_IFREG | 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return result;
}

}  // namespace

std::string make_deb(const Files& files, DebCompression compression) {
  archive* tar = archive_write_new();
  archive_write_set_format_ustar(tar);
  const char* suffix = "";
  switch (compression) {
    case DebCompression::None: break;
    case DebCompression::Gzip: archive_write_add_filter_gzip(tar), suffix = ".gz"; break;
    case DebCompression::Xz: archive_write_add_filter_xz(tar), suffix = ".xz"; break;
    case DebCompression::Zstd: archive_write_add_filter_zstd(tar), suffix = ".zst"; break;
  }
  const std::string data = pack(tar, files);
  archive* ar = archive_write_new();
  archive_write_set_format_ar_svr4(ar);
  return pack(ar, {{"debian-binary", "2.0\n"}, {"control.tar", "none"}, {std::string("data.tar") + suffix, data}});
}

void write_fake_apt(const std::filesystem::path& programs) {
  write_script(programs / "apt-cache", R"(
for wanted; do :; done
case $wanted in *=*) ;; *) wanted=$(cat "$MIRROR/$wanted.candidate" 2>/dev/null) ;; esac
cat "$MIRROR/$wanted.record" 2>/dev/null || exit 100
)");
  write_script(programs / "apt-get", R"(
for last; do :; done
echo "$last" >>"$MIRROR/log"
[ "$last" = update ] && exit ${UPDATE_STATUS:-0}
cp "$MIRROR/$last.deb" .
)");
}

std::string package_record(const std::string& name, const std::string& version, const std::string& depends, const std::string& sha256) {
  return fmt::format("Package: {}\nVersion: {}\nDepends: {}\nSize: 1000\nSHA256: {}\n\n", name, version, depends, sha256);
}

}  // namespace ax::xtask::test
