// Single page frames for a program: what the platform's allocator of ranges is not made for.
#pragma once

#include <span>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax::uni {

/// A bitmap of frames over a few large ranges. Plain logic: it touches nothing but its bitmaps. Not locked.
class PagePool {
 public:
  /// Ranges that it can be given.
  static constexpr usize kMaxRegions = 16;

  constexpr PagePool() = default;
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// Bytes of bitmap that a region of `pages` needs.
  static constexpr u64 bitmap_bytes(u64 pages) { return align_up(pages, 64) / 8; }

  /// Adds a range of free frames. `bitmap` has bitmap_bytes() of zeroes and belongs to the pool from now on. Error: OutOfMemory
  /// (too many ranges).
  Result<void> add(HpaRange range, std::span<u64> bitmap);

  /// Up to `pages` contiguous frames, at least one; large requests begin at a large page where one is free.
  /// Error: OutOfMemory.
  Result<HpaRange> take(u64 pages);
  /// Gives frames back that take() returned, in any portions.
  void give_back(HpaRange range);

  u64 free_pages() const { return free_; }

 private:
  struct Region {
    HpaRange range{};
    std::span<u64> taken{};
    u64 next = 0;  ///< where the search goes on

    u64 pages() const { return range.size / kPageSize; }
    bool is_taken(u64 page) const { return (taken[page / 64] >> page % 64 & 1) != 0; }
  };
  static u64 run_at(const Region& region, u64 page, u64 most);
  static u64 find(Region& region, u64 pages, u64 alignment);

  StaticVector<Region, kMaxRegions> regions_{};
  u64 free_ = 0;
};

}  // namespace ax::uni
