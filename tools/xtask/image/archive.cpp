#include "tools/xtask/image/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

using ArchiveReader = std::unique_ptr<archive, decltype(&archive_read_free)>;
using ArchiveWriter = std::unique_ptr<archive, decltype(&archive_write_free)>;
using ArchiveEntry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

constexpr size_t kReadBlock = 1 << 16;

[[noreturn]] void damaged(const std::string& name, archive* reader) {
  const char* reason = archive_error_string(reader);
  throw Failure(ExitCode::Failure, fmt::format("{}: {}", name, reason == nullptr ? "damaged package" : reason));
}

std::string read_content(archive* reader, const std::string& name) {
  std::string content;
  std::vector<char> block(kReadBlock);
  while (true) {
    const la_ssize_t size = archive_read_data(reader, block.data(), block.size());
    if (size < 0) {
      damaged(name, reader);
    }
    if (size == 0) {
      return content;
    }
    content.append(block.data(), static_cast<size_t>(size));
  }
}

/// The data.tar member of a .deb, still compressed.
std::string data_member(std::string_view deb, const std::string& name) {
  const ArchiveReader reader(archive_read_new(), &archive_read_free);
  archive_read_support_format_ar(reader.get());
  if (archive_read_open_memory(reader.get(), deb.data(), deb.size()) != ARCHIVE_OK) {
    damaged(name, reader.get());
  }
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    if (std::string_view(archive_entry_pathname(entry)).starts_with("data.tar")) {
      return read_content(reader.get(), name);
    }
  }
  if (status != ARCHIVE_EOF) {
    damaged(name, reader.get());
  }
  throw Failure(ExitCode::Failure, name + ": not a Debian package (no data.tar)");
}

std::string_view without_dot_slash(std::string_view path) { return path.starts_with("./") ? path.substr(2) : path; }

/// A file system in the making: path to node, so that entries come out sorted, folders before their content.
struct Node {
  mode_t mode = 0;
  std::string content;  ///< of a file, or where a link points
  dev_t device = 0;
};

std::map<std::string, Node> initramfs_nodes(const InitramfsContent& content) {
  constexpr unsigned kConsoleMajor = 5;
  constexpr unsigned kConsoleMinor = 1;
  std::map<std::string, Node> nodes;
  for (const char* folder : {"bin", "dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys", "tmp"}) {
    nodes[folder] = {S_IFDIR | 0755, {}, 0};
  }
  nodes["dev/console"] = {S_IFCHR | 0600, {}, makedev(kConsoleMajor, kConsoleMinor)};
  nodes["init"] = {S_IFREG | 0755, content.init, 0};
  nodes["bin/busybox"] = {S_IFREG | 0755, content.busybox, 0};
  for (const std::string& applet : content.applets) {
    // busybox keeps the names of its applets in one table, each ended by a zero byte.
    if (content.busybox.find(fmt::format("{0}{1}{0}", '\0', applet)) == std::string::npos) {
      throw Failure(ExitCode::Usage, fmt::format("this busybox has no applet '{}'", applet));
    }
    nodes["bin/" + applet] = {S_IFLNK | 0777, "busybox", 0};
  }
  return nodes;
}

void write_node(archive* writer, const std::string& path, const Node& node, la_int64_t inode) {
  const ArchiveEntry entry(archive_entry_new(), &archive_entry_free);
  archive_entry_set_pathname(entry.get(), path.c_str());
  archive_entry_set_mode(entry.get(), node.mode);
  archive_entry_set_ino64(entry.get(), inode);
  archive_entry_set_dev(entry.get(), 0);
  archive_entry_set_nlink(entry.get(), 1);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_size(entry.get(), 0);
  if (S_ISREG(node.mode)) {
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(node.content.size()));
  } else if (S_ISLNK(node.mode)) {
    archive_entry_set_symlink(entry.get(), node.content.c_str());
  } else if (S_ISCHR(node.mode)) {
    archive_entry_set_rdev(entry.get(), node.device);
  }
  const bool regular = S_ISREG(node.mode);
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK ||
      (regular && archive_write_data(writer, node.content.data(), node.content.size()) !=
                      static_cast<la_ssize_t>(node.content.size()))) {
    damaged("initramfs: " + path, writer);
  }
}

la_ssize_t append_to_string(archive*, void* sink, const void* data, size_t size) {
  static_cast<std::string*>(sink)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

/// Calls `visit(path, reader)` for every regular file of a .deb until it answers true. Returns whether it did.
template <class Visit>
bool for_each_file(std::string_view deb, const std::string& name, Visit visit) {
  const std::string data = data_member(deb, name);
  const ArchiveReader reader(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_all(reader.get());
  if (archive_read_open_memory(reader.get(), data.data(), data.size()) != ARCHIVE_OK) {
    damaged(name, reader.get());
  }
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    const std::string_view found = without_dot_slash(archive_entry_pathname(entry));
    if (archive_entry_filetype(entry) == AE_IFREG && visit(found, reader.get())) {
      return true;
    }
  }
  if (status != ARCHIVE_EOF) {
    damaged(name, reader.get());
  }
  return false;
}

std::string write_cpio(const std::map<std::string, Node>& nodes, bool gzip) {
  std::string result;  // outlives the writer, which flushes into it even on the way out of an exception
  const ArchiveWriter writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_cpio_newc(writer.get());
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  if (gzip) {
    archive_write_add_filter_gzip(writer.get());
    archive_write_set_filter_option(writer.get(), "gzip", "timestamp", nullptr);
  }
  if (archive_write_open(writer.get(), &result, nullptr, &append_to_string, nullptr) != ARCHIVE_OK) {
    damaged("initramfs", writer.get());
  }
  la_int64_t inode = 1;
  for (const auto& [path, node] : nodes) {
    write_node(writer.get(), path, node, inode++);
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK) {
    damaged("initramfs", writer.get());
  }
  return result;
}

}  // namespace

ExtractedFile extract_from_deb(std::string_view deb, const std::string& name, std::string_view path, PathMatch match) {
  ExtractedFile file;
  const bool there = for_each_file(deb, name, [&](std::string_view found, archive* reader) {
    const bool wanted = match == PathMatch::Exact ? found == path : found.starts_with(path);
    if (wanted) {
      file = {std::string(found), read_content(reader, name)};
    }
    return wanted;
  });
  if (!there) {
    throw Failure(ExitCode::Failure, fmt::format("{}: has no file {}", name, path));
  }
  return file;
}

std::vector<std::string> extract_all_from_deb(std::string_view deb, const std::string& name, std::string_view folder,
                                              const std::vector<std::string>& names) {
  std::vector<std::string> files(names.size());
  std::vector<bool> there(names.size());
  for_each_file(deb, name, [&](std::string_view found, archive* reader) {
    const auto at = std::find(names.begin(), names.end(), found.substr(found.rfind('/') + 1));
    if (found.starts_with(folder) && at != names.end()) {
      files[static_cast<size_t>(at - names.begin())] = read_content(reader, name);
      there[static_cast<size_t>(at - names.begin())] = true;
    }
    return std::find(there.begin(), there.end(), false) == there.end();
  });
  for (size_t i = 0; i < names.size(); ++i) {
    if (!there[i]) {
      throw Failure(ExitCode::Failure, fmt::format("{}: has no file {} below {}", name, names[i], folder));
    }
  }
  return files;
}

std::string build_initramfs(const InitramfsContent& content) { return write_cpio(initramfs_nodes(content), content.gzip); }

std::string build_module_archive(const std::vector<std::string>& names, const std::vector<std::string>& files) {
  std::map<std::string, Node> nodes;
  nodes["lib"] = nodes["lib/modules"] = {S_IFDIR | 0755, {}, 0};
  std::string order;
  for (size_t i = 0; i < names.size(); ++i) {
    nodes[fmt::format("lib/modules/{}.ko", names[i])] = {S_IFREG | 0644, files[i], 0};
    order += names[i] + "\n";
  }
  nodes["lib/modules/order"] = {S_IFREG | 0644, order, 0};
  return write_cpio(nodes, false);
}

}  // namespace ax::xtask
