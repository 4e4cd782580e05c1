// Debian packages taken apart, initial RAM file systems put together; both in memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

struct ExtractedFile {
  std::string path;  ///< without a leading "./"
  std::string content;
};

enum class PathMatch { Exact, Prefix };

/// The first regular file of a .deb whose path is `path`, or starts with it (Prefix). `name` appears in messages.
/// Throws Failure(Failure) for a damaged package, and where there is no such file.
ExtractedFile extract_from_deb(std::string_view deb, const std::string& name, std::string_view path, PathMatch match);

/// The regular files of a .deb below `folder` whose names are `names`, in that order. Throws Failure(Failure) for a damaged
/// package, and where one is missing.
std::vector<std::string> extract_all_from_deb(std::string_view deb, const std::string& name, std::string_view folder,
                                              const std::vector<std::string>& names);

struct InitramfsContent {
  std::string busybox;
  std::string init;
  std::vector<std::string> applets;
  bool gzip = false;
};

/// A cpio archive (newc) with /init, /bin/busybox and its links, /dev/console and empty mount points. The same input gives
/// the same bytes on every machine: sorted, owned by root, time stamps 0. Throws Failure(Usage) for an applet that this
/// busybox does not have.
std::string build_initramfs(const InitramfsContent& content);

/// A cpio archive (newc) to stand behind an initramfs: /lib/modules/NAME.ko for each, and /lib/modules/order with their names,
/// one on a line. `files` are the contents of `names`. Reproducible like build_initramfs().
std::string build_module_archive(const std::vector<std::string>& names, const std::vector<std::string>& files);

}  // namespace ax::xtask
