// What every file system can do. Paths, mounts and links are Tree's (tree.hpp); here a name is one component.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::fs {

inline constexpr usize kMaxName = 255;  ///< bytes of UTF-8

enum class Kind : u8 { File, Directory, Link, Other };

/// A file or directory, by value: what its file system needs to find it again, and where it stands. A node that was read before
/// somebody changed the same file or directory is out of date: look it up again.
struct Node {
  Kind kind = Kind::File;
  bool uncommitted = false;  ///< its directory does not know its size and place yet
  u64 size = 0;              ///< bytes
  u64 id = 0;                ///< inode; FAT: first cluster, 0 if it has none
  u64 place = 0;             ///< FAT: byte on the disk where its directory describes it; 0: the root
  u64 changed = 0;           ///< seconds since 1970 began
  u64 replaced = 0;          ///< FAT: first cluster of what it had before replace()
  u64 known_index = 0;       ///< FAT: a cluster whose number in the chain is known, to go on from
  u64 known = 0;
};

/// Room in a file system, in bytes.
struct Usage {
  u64 total = 0;
  u64 free = 0;
};

/// Is shown the entries of a directory, one by one; "." and ".." are left out.
class DirectoryVisitor {
 public:
  /// `name` is gone when this returns. False ends the listing.
  virtual bool visit(std::string_view name, const Node& node) = 0;

 protected:
  ~DirectoryVisitor() = default;
};

/// A mounted file system. Calls block the thread as block::Device's do, one thread at a time; what a disk holds can be anything:
/// every call ends and stays within fixed memory. Errors besides those named: the device's, Malformed (the disk contradicts
/// itself).
class FileSystem {
 public:
  virtual std::string_view type() const = 0;
  virtual bool writable() const = 0;
  /// Why it is read-only, or what to think of when reading it; empty if there is nothing to say.
  virtual std::string_view remark() const { return {}; }

  virtual Result<Node> root() = 0;
  /// Errors: NotFound, NotDirectory.
  virtual Result<Node> find(const Node& directory, std::string_view name) = 0;
  virtual Result<void> list(const Node& directory, DirectoryVisitor& visitor) = 0;
  /// Bytes from `offset` on into `out`, or where a link leads. Returns how many: fewer only at the end of the file.
  virtual Result<usize> read(Node& file, u64 offset, std::span<std::byte> out) = 0;
  virtual Result<Usage> usage() = 0;

  // Changes. Errors besides: ReadOnly, NoSpace. After a power cut at any moment, every file that was committed is as it was
  // committed; what was not is lost or, if it went on from something that was, cut to that.

  /// A new, empty file or directory. Errors: AlreadyExists, InvalidArgument (no file system of this type has such a name).
  virtual Result<Node> create(const Node& directory, std::string_view name, Kind kind) { return (void)directory, (void)name, (void)kind, fail(Error::ReadOnly); }
  /// `offset` is at most the file's size. What was written is the file's after commit().
  virtual Result<void> write(Node& file, u64 offset, std::span<const std::byte> bytes) { return (void)file, (void)offset, (void)bytes, fail(Error::ReadOnly); }
  /// Begins anew with no contents; the old ones stay on the disk until commit(), which puts the new ones in their place at once.
  virtual Result<void> replace(Node& file) { return (void)file, fail(Error::ReadOnly); }
  /// Ends what write() and replace() have begun.
  virtual Result<void> commit(Node& file) { return (void)file, Result<void>(); }
  /// Gives up what was not committed: the disk is as it was.
  virtual void abandon(Node& file) { (void)file; }
  /// Only an empty directory. Errors: NotFound, NotEmpty.
  virtual Result<void> remove(const Node& directory, std::string_view name) { return (void)directory, (void)name, fail(Error::ReadOnly); }
  /// Gives an entry another name, as one change of the disk. Errors: NotFound, AlreadyExists, NotSupported (it cannot be one: copy
  /// it).
  virtual Result<void> rename(const Node& directory, std::string_view from, std::string_view to) { return (void)directory, (void)from, (void)to, fail(Error::ReadOnly); }
  /// Everything is on the medium when this returns.
  virtual Result<void> sync() { return {}; }

 protected:
  ~FileSystem() = default;
};

}  // namespace ax::fs
