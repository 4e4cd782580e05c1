// Memory for objects: a small heap over frames, and Box, the owner of one object in it.
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"
#include "kernel/mm/frame_allocator.hpp"

namespace ax::mm {

/// Where a Box gets its storage from. An implementation that several CPUs share does its own locking.
class ObjectAllocator {
 public:
  /// Strictest alignment that can be asked for: a cache line.
  static constexpr usize kMaxAlignment = 64;

  /// `bytes` > 0 of uninitialised storage, aligned to `alignment` (a power of two up to kMaxAlignment).
  /// Error: OutOfMemory.
  virtual Result<std::byte*> allocate(usize bytes, usize alignment) = 0;
  /// Gives back what allocate() returned. Anything else is a broken host invariant and panics.
  virtual void free(std::byte* storage) = 0;

 protected:
  ~ObjectAllocator() = default;
};

/// Size classes up to half a page, in slabs of one frame; larger objects get frames of their own. A slab that becomes empty
/// goes back to the frame allocator at once, so that frames and bytes are the same before and after. Double frees panic.
///
/// Does not lock. Not on the exit path of a guest. All frames belong to Owner::host().
class Heap final : public ObjectAllocator {
 public:
  explicit constexpr Heap(FrameAllocator& frames) : frames_(frames) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Result<std::byte*> allocate(usize bytes, usize alignment) override;
  void free(std::byte* storage) override;

  /// Bytes that live objects occupy, rounded up to their size class or frames.
  u64 used_bytes() const { return used_bytes_; }

 private:
  static constexpr usize kClassCount = 12;

  /// At the start of a slab's frame, or of the frames of one large object.
  struct Header;
  static_assert(sizeof(Header*) == sizeof(u64));

  Result<std::byte*> allocate_large(usize bytes);
  Result<Header*> add_slab(usize size_class);
  void link(Header& slab);
  void unlink(Header& slab);

  FrameAllocator& frames_;
  Header* slabs_with_room_[kClassCount] = {};
  u64 used_bytes_ = 0;
};

/// Owns one object that lives in an ObjectAllocator: destroys it and gives the storage back. May be empty.
/// A Box<Derived> becomes a Box<Base> if Base has a virtual destructor.
template <class T>
class Box {
 public:
  constexpr Box() = default;
  Box(Box&& other) noexcept { take(other); }
  template <class U>
    requires(std::derived_from<U, T> && !std::same_as<U, T> && std::has_virtual_destructor_v<T>)
  Box(Box<U>&& other) noexcept {
    take(other);
  }
  Box& operator=(Box&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~Box() { reset(); }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

  /// Destroys the object now.
  void reset() {
    if (object_ == nullptr) return;
    std::exchange(object_, nullptr)->~T();
    allocator_->free(storage_);
  }

 private:
  template <class U>
  friend class Box;
  template <class U, class... Args>
  friend Result<Box<U>> make_box(ObjectAllocator& allocator, Args&&... args);

  Box(T* object, std::byte* storage, ObjectAllocator& allocator) : object_(object), storage_(storage), allocator_(&allocator) {}

  template <class U>
  void take(Box<U>& other) {
    object_ = std::exchange(other.object_, nullptr);
    storage_ = other.storage_;
    allocator_ = other.allocator_;
  }

  T* object_ = nullptr;
  std::byte* storage_ = nullptr;
  ObjectAllocator* allocator_ = nullptr;
};

/// Creates a `T` in `allocator`, which must outlive the Box. Error: OutOfMemory; the arguments are untouched then.
template <class T, class... Args>
[[nodiscard]] Result<Box<T>> make_box(ObjectAllocator& allocator, Args&&... args) {
  static_assert(alignof(T) <= ObjectAllocator::kMaxAlignment, "whole frames come from the FrameAllocator");
  std::byte* storage = TRY(allocator.allocate(sizeof(T), alignof(T)));
  return Box<T>(::new (static_cast<void*>(storage)) T(std::forward<Args>(args)...), storage, allocator);
}

/// Bytes for the time of one function, aligned like a u64.
class Scratch {
 public:
  /// Error: OutOfMemory.
  static Result<Scratch> create(ObjectAllocator& heap, usize size) {
    return Scratch(heap, TRY(heap.allocate(size, alignof(u64))), size);
  }
  Scratch(Scratch&& other) noexcept : heap_(other.heap_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (data_ != nullptr) heap_.free(data_);
  }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  Scratch(ObjectAllocator& heap, std::byte* data, usize size) : heap_(heap), data_(data), size_(size) {}

  ObjectAllocator& heap_;
  std::byte* data_;
  usize size_;
};

}  // namespace ax::mm
