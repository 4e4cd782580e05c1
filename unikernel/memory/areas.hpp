// Which parts of the program's address range are in use, and how they may be accessed. Plain logic.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::uni {

/// PROT_* of Linux.
enum Protection : u8 { kNoAccess = 0, kRead = 1, kWrite = 2, kExecute = 4 };

/// A mapping that a program has made, or a part of one.
struct Area {
  Range<Hva> range{};
  u8 protection = kNoAccess;
  bool populated = false;  ///< frames belong to it: in its place, or put away while nothing may access them
  Area* next = nullptr;
};

/// Disjoint areas by rising address, which `Nodes` gives out and takes back. Not locked.
class Areas {
 public:
  /// Where areas come from: a page at a time, in which they are strung together.
  using MorePages = Result<Range<Hva>> (*)();

  constexpr Areas(Range<Hva> window, MorePages more) : window_(window), more_(more) {}
  Areas(const Areas&) = delete;
  Areas& operator=(const Areas&) = delete;

  /// A free range of that size, at `hint` if it is free there; else the first that is large enough. Error: OutOfMemory.
  Result<Range<Hva>> find_free(u64 size, Hva hint) const;
  bool is_free(Range<Hva> range) const;
  bool in_window(Range<Hva> range) const { return range.fits() && window_.contains(range); }

  /// `range` is free. Error: OutOfMemory.
  Result<void> insert(Range<Hva> range, u8 protection, bool populated);
  /// Cuts areas so that none crosses an end of `range`. Error: OutOfMemory; then nothing has changed that can be seen.
  Result<void> isolate(Range<Hva> range);
  /// Forgets the areas of an isolated range.
  void remove(Range<Hva> range);

  /// The first area that ends above `address`, or nullptr; then area->next.
  Area* first_above(Hva address) const;
  /// The area at `address`, or nullptr.
  const Area* find(Hva address) const;

 private:
  Result<Area*> make();
  void forget(Area& area);
  Result<void> cut(Hva at);

  Range<Hva> window_;
  MorePages more_;
  Area* first_ = nullptr;
  Area* unused_ = nullptr;
};

}  // namespace ax::uni
