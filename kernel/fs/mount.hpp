// Finds out which file system is on a device.
#pragma once

#include <optional>

#include "kernel/fs/ext4.hpp"
#include "kernel/fs/fat.hpp"

namespace ax::fs {

/// Storage for a mounted file system of any type.
class AnyFileSystem {
 public:
  /// Error: NotSupported (none that this knows), and those of the file systems. `device` and `heap` outlive it.
  static Result<AnyFileSystem> mount(block::Device& device, mm::ObjectAllocator& heap, Fat::Time time = nullptr);
  FileSystem& get() { return fat_ ? static_cast<FileSystem&>(*fat_) : *ext4_; }

 private:
  AnyFileSystem() = default;

  std::optional<Fat> fat_;
  std::optional<Ext4> ext4_;
};

}  // namespace ax::fs
