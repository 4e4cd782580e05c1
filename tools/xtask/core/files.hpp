// Files: whole-file reads, atomic writes, locks between processes, temporary folders, SHA-256.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {

/// "no such file: PATH", with the nearest name where the path leaves what exists.
std::string missing_path(const std::filesystem::path& path);

/// What is said where `option` names a file that does not exist: the path, and the nearest name in the same folder.
Failure no_such_file(std::string_view option, const std::filesystem::path& path);

/// The whole file. Throws Failure(Usage) that names it.
std::string read_file(const std::filesystem::path& path);
/// Its content; empty where there is no such file.
std::string read_if_there(const std::filesystem::path& path);

/// Replaces `path` in one step (write beside it, then rename), creating its folder. Readers see the old or the new file.
void write_file(const std::filesystem::path& path, std::string_view content);

/// As write_file(), but leaves an equal file and its time stamp alone. Returns whether it wrote.
bool write_file_if_changed(const std::filesystem::path& path, std::string_view content);

/// Lower-case hexadecimal SHA-256.
std::string sha256_hex(std::string_view content);
/// The same of a file, in pieces. Throws Failure(Usage) where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

/// An exclusive lock between processes, held as long as the object lives. Waits for other holders; a holder that dies
/// releases it. The file itself stays.
class FileLock {
 public:
  /// `on_wait` is called before a wait that really happens, to say so.
  explicit FileLock(const std::filesystem::path& path, const std::function<void()>& on_wait = {});
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

/// A new folder under $TMPDIR (or /tmp), removed with all its content at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace ax::xtask
