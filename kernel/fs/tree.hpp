// One tree of paths over the mounted file systems.
#pragma once

#include <optional>

#include "kernel/base/static_vector.hpp"
#include "kernel/fs/file_system.hpp"
#include "kernel/fs/unicode.hpp"

namespace ax::fs {

inline constexpr usize kMaxMounts = 8;
inline constexpr usize kMaxPath = 512;

/// An absolute path without ".", ".." or double slashes.
class Path {
 public:
  /// `text` as seen from `directory`. Errors: OutOfRange (longer than kMaxPath, or a name longer than kMaxName).
  static Result<Path> make(const Path& directory, std::string_view text);
  constexpr Path() { static_cast<void>(text_.push_back('/')); }

  std::string_view text() const { return {text_.begin(), text_.size()}; }
  bool is_root() const { return text_.size() == 1; }
  /// The last name; empty for the root.
  std::string_view name() const { return text().substr(text().rfind('/') + 1); }
  Path parent() const;
  /// Whether `other` is this path or lies below it.
  bool contains(const Path& other) const;

 private:
  Result<void> append(std::string_view name);

  StaticVector<char, kMaxPath> text_{};
};

/// A file or directory and the file system that it is in.
struct Location {
  FileSystem* system = nullptr;
  Node node{};
};

struct Mount {
  FileSystem* system = nullptr;
  Name at{};      ///< of the directory below the root where it is seen; empty: it is the root
  Name device{};  ///< for people
};

/// One thread at a time. Besides the file system at "/", others are seen as directories of it, which need not exist there.
class Tree {
 public:
  /// Errors: OutOfMemory (kMaxMounts), AlreadyExists. `system` outlives the mount.
  Result<void> mount(FileSystem& system, std::string_view at, std::string_view device);
  std::span<const Mount> mounts() const { return mounts_; }

  /// Follows links, kMostLinks of them at most. Errors: NotFound (also if nothing is mounted), NotDirectory, those of the file
  /// system.
  Result<Location> find(const Path& path);
  /// The directory that `path` is in.
  Result<Location> find_parent(const Path& path);
  Result<void> list(const Path& path, DirectoryVisitor& visitor);
  /// Whether something is mounted exactly here.
  bool is_mount(const Path& path) const;

  /// The whole file, as one new version of it: after a failure or a power cut the old contents are there.
  Result<void> write_file(const Path& path, std::span<const std::byte> bytes);
  Result<void> make_directory(const Path& path);
  Result<void> remove(const Path& path);

  static constexpr unsigned kMostLinks = 8;

 private:
  const Mount* mount_of(std::string_view& rest) const;
  Result<Location> walk(Path path, unsigned links);

  StaticVector<Mount, kMaxMounts> mounts_{};
};

}  // namespace ax::fs
