// The table of file descriptors.
#pragma once

#include <utility>

#include "unikernel/file/file.hpp"

namespace ax::uni {

inline constexpr u64 kMaxDescriptors = 256;

/// A file that stays open while this is there, whoever closes its descriptor; or nothing.
class HeldFile {
 public:
  HeldFile() = default;
  explicit HeldFile(OpenFile* file) : file_(file) {}
  HeldFile(HeldFile&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  HeldFile& operator=(HeldFile&&) = delete;
  ~HeldFile();

  explicit operator bool() const { return file_ != nullptr; }
  OpenFile* operator->() const { return file_; }
  OpenFile& operator*() const { return *file_; }
  FileObject& object() const { return *file_->object; }

 private:
  OpenFile* file_ = nullptr;
};

/// What `descriptor` leads to; nothing if it is not open.
HeldFile hold(u64 descriptor);

/// The lowest free descriptor for a new OpenFile of `object`, or -EMFILE; then nothing has happened to the object. Of `flags`, those
/// of opening are not kept.
i64 open_descriptor(FileObject& object, u64 flags);
i64 close_descriptor(u64 descriptor);

/// The console, which /dev/tty is, too.
FileObject& console_file();

}  // namespace ax::uni
