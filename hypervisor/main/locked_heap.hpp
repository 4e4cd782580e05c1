// The host's heap, shared by all CPUs.
#pragma once

#include "kernel/mm/heap.hpp"
#include "platforms/platform.hpp"

namespace hv {

using namespace ax;

/// A heap takes its frames from the frame allocator, so the allocator's lock covers both.
class LockedHeap final : public mm::ObjectAllocator {
 public:
  explicit LockedHeap(platform::LockedFrames& frames) : frames_(frames), heap_(frames.without_lock()) {}

  Result<std::byte*> allocate(usize bytes, usize alignment) override {
    const auto frames = frames_.lock();
    return heap_.allocate(bytes, alignment);
  }
  void free(std::byte* storage) override {
    const auto frames = frames_.lock();
    heap_.free(storage);
  }
  u64 used_bytes() {
    const auto frames = frames_.lock();
    return heap_.used_bytes();
  }

 private:
  platform::LockedFrames& frames_;
  mm::Heap heap_;
};

}  // namespace hv
