// The program's own memory: mmap(), mprotect() and their like. Frames belong to a mapping from the start: nothing is promised
// that is not there, and no access waits for a frame.
#pragma once

#include <optional>

#include "kernel/base/spinlock.hpp"
#include "unikernel/memory/areas.hpp"
#include "unikernel/memory/page_pool.hpp"

namespace ax::uni {

class ProgramMemory {
 public:
  /// Where mappings lie: above all physical memory, below 2^38, which every translation scheme reaches.
  static constexpr Range<Hva> kWindow{Hva(u64{1} << 37), u64{1} << 36};
  /// Pages that nothing may access at the moment keep their frames here, at the same distance.
  static constexpr u64 kPutAway = u64{1} << 36;

  constexpr ProgramMemory() = default;

  /// Takes the free memory of the platform over, but for a part that page tables and kernel objects come out of. Boot CPU.
  /// Error: OutOfMemory.
  Result<void> take_memory_over();

  /// New zeroed pages at a free place, at `hint` if it is free. Sizes and addresses are multiples of pages everywhere.
  /// Error: OutOfMemory.
  Result<Hva> map(u64 size, Hva hint, u8 protection);
  /// The same at exactly `range`, in place of what is there. Errors: OutOfMemory, OutOfRange (not in the window).
  Result<void> map_fixed(Range<Hva> range, u8 protection);
  /// Error: OutOfMemory, OutOfRange. What is not mapped is left so.
  Result<void> unmap(Range<Hva> range);
  /// Errors: OutOfMemory, OutOfRange, NotFound (part of it is not mapped).
  Result<void> protect(Range<Hva> range, u8 protection);
  /// Makes the mapping at `old` as large as `size`, elsewhere if it must and may. Errors: OutOfMemory, OutOfRange, NotFound.
  Result<Hva> resize(Range<Hva> old, u64 size, bool may_move);
  /// Forgets the contents: zeroes. Errors: OutOfRange.
  Result<void> forget(Range<Hva> range);

  /// Whether nothing is mapped at `address` on purpose: it lies in a mapping without access.
  bool is_guard(Hva address) const;
  /// What the page at `address` is used for.
  struct Use {
    Range<Hva> range{};
    u8 protection = kNoAccess;
  };
  std::optional<Use> use_of(Hva address) const {
    const Area* area = areas_.find(address);
    return area == nullptr ? std::nullopt : std::optional(Use{area->range, area->protection});
  }
  bool is_unused(Range<Hva> range) const { return areas_.is_free(range); }
  u64 free_bytes() const { return pool_.free_pages() * kPageSize; }
  u64 total_bytes() const { return total_; }

 private:
  Result<void> populate(Range<Hva> range, u8 protection);
  void release(Range<Hva> range);
  void move(Range<Hva> from, Hva to, u8 protection);

  PagePool pool_{};
  u64 total_ = 0;
  Areas areas_{kWindow, &more_areas};
  static Result<Range<Hva>> more_areas();
};

using LockedProgramMemory = Locked<ProgramMemory, LockRank::ProgramMemory>;
LockedProgramMemory& program_memory();

}  // namespace ax::uni
