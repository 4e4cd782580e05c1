// Images of one VM that come from disks, while the VM is made.
#pragma once

#include <array>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/vm/guest_memory.hpp"
#include "kernel/fs/tree.hpp"

namespace hv {

class Hypervisor;

/// What a loader must look into is read as a whole into frames of the host, until this goes; what it only puts somewhere is
/// represented by its first page, and goes from the disk straight into the guest's memory. Manager thread.
class ImageFiles {
 public:
  /// Bytes of a streamed image that are there for the loader.
  static constexpr usize kHead = kPageSize;

  explicit ImageFiles(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}
  ImageFiles(const ImageFiles&) = delete;
  ImageFiles& operator=(const ImageFiles&) = delete;
  ~ImageFiles();

  /// Finds the file of `image`, which is from a disk, and makes image.bytes() refer to it: all of it, or with `streamed` its head. At
  /// most `limit` bytes. Errors: those of Disks::open() and of reading, OutOfMemory, OutOfRange (too large), Truncated (empty, or
  /// shorter than its directory says).
  Result<void> open(Image& image, bool streamed, u64 limit);

  /// Whether there is more than image.bytes() on the disk.
  bool is_streamed(const Image& image) const { return size(image) != image.bytes().size(); }
  /// Bytes of the file.
  u64 size(const Image& image) const;
  /// Reads a streamed image to `to`. Errors: those of reading, OutOfRange (part of it is no memory), Malformed (its SHA-256 is another; that
  /// was logged).
  Result<void> load(const Image& image, GuestMemory& memory, Gpa to);

 private:
  struct File {
    const Image* image = nullptr;
    fs::Location location{};
    HpaRange frames{};
  };
  static constexpr usize kMaxFiles = 4;

  File* find(const Image& image);
  static Result<void> read(File& file, u64 offset, std::span<std::byte> out);

  Hypervisor& hypervisor_;
  StaticVector<File, kMaxFiles> files_{};
};

}  // namespace hv
