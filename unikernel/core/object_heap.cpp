#include "unikernel/core/object_heap.hpp"

#include <atomic>
#include <new>

#include "platforms/platform.hpp"

namespace ax::uni {
namespace {

class LockedHeap final : public mm::ObjectAllocator {
 public:
  Result<std::byte*> allocate(usize bytes, usize alignment) override {
    const auto frames = platform::frames().lock();
    return heap_.allocate(bytes, alignment);
  }
  void free(std::byte* storage) override {
    const auto frames = platform::frames().lock();
    heap_.free(storage);
  }

 private:
  mm::Heap heap_{platform::frames().without_lock()};
};

}  // namespace

mm::ObjectAllocator& object_heap() {
  alignas(LockedHeap) static constinit std::byte storage[sizeof(LockedHeap)] = {};
  static constinit std::atomic<LockedHeap*> heap{nullptr};
  LockedHeap* made = heap.load(std::memory_order_acquire);
  if (made == nullptr) heap.store(made = ::new (storage) LockedHeap, std::memory_order_release);
  return *made;
}

}  // namespace ax::uni
