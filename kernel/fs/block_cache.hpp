// The last few blocks of a disk, for the structures of file systems: read once, written through.
#pragma once

#include <algorithm>
#include <array>

#include "kernel/block/device.hpp"
#include "kernel/mm/heap.hpp"

namespace ax::fs {

/// Byte addresses on a device. Nothing is delayed: a write is on its way to the medium, in the order of the calls, when it
/// returns.
class BlockCache {
 public:
  static constexpr usize kLine = 4096;
  static constexpr usize kLines = 8;

  /// Takes kLines * kLine bytes of `heap`, which outlives the cache. Error: OutOfMemory.
  static Result<BlockCache> create(block::Device& device, mm::ObjectAllocator& heap) {
    return BlockCache(device, TRY(mm::Scratch::create(heap, kLines * kLine)));
  }

  block::Device& device() { return *device_; }

  /// Any range on the device. Errors: the device's.
  Result<void> read(u64 offset, std::span<std::byte> out);
  Result<void> write(u64 offset, std::span<const std::byte> bytes);
  /// The same for the contents of files: whole sectors go past the cache.
  Result<void> read_contents(u64 offset, std::span<std::byte> out);
  Result<void> write_contents(u64 offset, std::span<const std::byte> bytes);
  Result<void> zero(u64 offset, u64 size);

  template <class T>
  Result<T> load(u64 offset) {
    T value;
    TRY(read(offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }

 private:
  BlockCache(block::Device& device, mm::Scratch memory) : device_(&device), memory_(std::move(memory)) { tags_.fill(kNone); }

  static constexpr u64 kNone = ~u64{0};

  std::byte* line(usize index) { return memory_.bytes().data() + index * kLine; }
  Result<usize> fetch(u64 number);
  void forget(u64 offset, u64 size);

  block::Device* device_;
  mm::Scratch memory_;
  std::array<u64, kLines> tags_{};  ///< which line of the disk is there
  std::array<u32, kLines> used_{};  ///< when it was used last
  u32 uses_ = 0;
};

}  // namespace ax::fs
