// What a file descriptor leads to.
#pragma once

#include <span>

#include "kernel/base/types.hpp"
#include "unikernel/core/errno.hpp"

namespace ax::uni {

/// open()'s flags, as far as all architectures share them.
enum OpenFlag : u32 {
  kAccessMode = 3,
  kWriteOnly = 1,
  kReadWrite = 2,
  kCreate = 0100,
  kExclusive = 0200,
  kTruncate = 01000,
  kAppend = 02000,
  kNonBlocking = 04000,
  kCloseOnExec = 0200'0000,
};

/// POLLIN and its like.
enum Readiness : u32 { kReadable = 1, kWritable = 4, kReadyError = 8, kHungUp = 0x10, kReadyInvalid = 0x20 };

/// stat()'s answer, before it is laid out as the architecture wants it.
struct Status {
  enum Mode : u32 { kDirectory = 0040000, kCharacters = 0020000, kRegular = 0100000, kFifo = 0010000 };

  u32 mode = 0;
  u64 size = 0;
  u64 id = 0;
  u64 changed = 0;  ///< seconds since 1970 began
};

class FileObject;

/// One open(): what descriptors made by dup() share.
struct OpenFile {
  FileObject* object = nullptr;
  u64 position = 0;
  u32 flags = 0;
  u32 references = 0;  ///< descriptors, and calls under way; the table's

  bool may_read() const { return (flags & kAccessMode) != kWriteOnly; }
  bool may_write() const { return (flags & kAccessMode) != 0; }
  bool waits() const { return (flags & kNonBlocking) == 0; }
};

/// A file, a device, an end of a pipe. Functions return what the system call does: a result or -errno; those that are not overridden
/// say that this kind of file cannot do it. Any thread; an object does its own locking.
class FileObject {
 public:
  virtual i64 read(OpenFile& file, std::span<char> out) { return (void)file, (void)out, kInvalid; }
  virtual i64 write(OpenFile& file, std::span<const char> bytes) { return (void)file, (void)bytes, kInvalid; }
  virtual i64 read_at(u64 offset, std::span<char> out) { return (void)offset, (void)out, kIllegalSeek; }
  virtual i64 write_at(u64 offset, std::span<const char> bytes) { return (void)offset, (void)bytes, kIllegalSeek; }
  virtual i64 seek(OpenFile& file, i64 offset, u64 whence) { return (void)file, (void)offset, (void)whence, kIllegalSeek; }
  virtual i64 truncate(u64 size) { return (void)size, kInvalid; }
  virtual i64 sync() { return kInvalid; }
  virtual i64 control(u64 request, void* argument) { return (void)request, (void)argument, kNotTerminal; }
  /// Entries of a directory as getdents64() lays them out.
  virtual i64 list(OpenFile& file, std::span<char> out) { return (void)file, (void)out, kNotDirectory; }
  virtual Status status() = 0;
  /// What would not wait now. A change is announced (waiting.hpp), or `polled()`.
  virtual u32 readiness() { return kReadable | kWritable; }
  /// Nobody announces its changes: who waits for it looks from time to time.
  virtual bool polled() const { return false; }
  /// Whether locks of fcntl() make sense here.
  virtual bool is_regular() const { return false; }
  /// An address that all objects of one class share, where a call asks for that class; nullptr: none does.
  virtual const void* kind() const { return nullptr; }
  /// The last descriptor of `file` is gone. The object may go, too.
  virtual void closed(OpenFile& file) { (void)file; }

 protected:
  constexpr ~FileObject() = default;
};

}  // namespace ax::uni
