// The files of the volume that are open: one object for each, however often it was opened, because a file that was looked up
// before somebody changed it is out of date.
#pragma once

#include "kernel/fs/tree.hpp"
#include "unikernel/core/waiting.hpp"
#include "unikernel/file/descriptors.hpp"
#include "unikernel/file/volume.hpp"

namespace ax::uni {

/// The volume, and its lock: held during every call of it, and while the list of open files is looked at.
Volume& volume();
Mutex& volume_lock();
/// Seconds since 1970 began.
u64 seconds_now();

class DiskFile final : public FileObject {
 public:
  explicit DiskFile(const fs::Node& node) : node_(node) {}

  /// The open file that a directory describes at `place`, or nullptr. With the lock.
  static DiskFile* find(u64 place);
  /// The object for `node`, new or not; close() gives it back. With the lock. Error: OutOfMemory.
  static Result<DiskFile*> open(const fs::Node& node);
  /// The directories know all that is open as it is now. With the lock.
  static void commit_open();
  /// The same for the end of the program: what was only there because it was open goes. With the lock.
  static void finish_all();
  /// With the lock.
  void close();

  // With the lock.
  const fs::Node& node() const { return node_; }
  Result<void> commit();
  Result<void> resize(u64 size);
  /// Its directory does not know it any more.
  void detach() { node_.place = 0; }
  /// Its directory describes it elsewhere.
  void move(u64 place) { node_.place = place; }

  i64 read(OpenFile& file, std::span<char> out) override;
  i64 write(OpenFile& file, std::span<const char> bytes) override;
  i64 read_at(u64 offset, std::span<char> out) override;
  i64 write_at(u64 offset, std::span<const char> bytes) override;
  i64 seek(OpenFile& file, i64 offset, u64 whence) override;
  i64 truncate(u64 size) override;
  i64 sync() override;
  Status status() override;
  bool is_regular() const override { return true; }
  void closed(OpenFile& file) override;

  DiskFile* next = nullptr;  ///< open one

 private:
  i64 read_now(u64 offset, std::span<char> out);
  i64 write_now(u64 offset, std::span<const char> bytes);
  Result<void> fill(u64 size);

  fs::Node node_;
  u32 opens_ = 0;
};

/// A directory that is listed, or that relative paths begin at.
class OpenDirectory final : public FileObject {
 public:
  OpenDirectory(const fs::Path& path, const fs::Node& node) : path_(path), node_(node) {}

  /// With the lock. Error: OutOfMemory.
  static Result<OpenDirectory*> open(const fs::Path& path, const fs::Node& node);
  /// The entry at `place` has appeared in `directory`, or is about to go: who lists it meanwhile sees every other entry once. With
  /// the lock.
  static void entry_changes(const fs::Node& directory, u64 place, bool appears);
  /// With the lock.
  void close();

  const fs::Path& path() const { return path_; }

  i64 read(OpenFile&, std::span<char>) override { return kIsDirectory; }
  i64 seek(OpenFile& file, i64 offset, u64 whence) override;
  i64 sync() override;
  i64 list(OpenFile& file, std::span<char> out) override;
  Status status() override;
  void closed(OpenFile& file) override;

  OpenDirectory* next = nullptr;  ///< open one

 private:
  fs::Path path_;
  fs::Node node_;
  u64 next_ = 0;  ///< entry that list() begins with
};

Status status_of(const fs::Node& node);

}  // namespace ax::uni
