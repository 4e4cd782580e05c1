// Lists of address ranges in order.
#pragma once

#include <span>

#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax {

/// Sorts by base, lowest first. For lists of some dozens that are nearly in order already, as those of firmware are.
template <class Addr>
constexpr void sort_ranges(std::span<Range<Addr>> ranges) {
  for (usize i = 1; i < ranges.size(); ++i) {
    const Range<Addr> moved = ranges[i];
    usize place = i;
    for (; place > 0 && moved.base < ranges[place - 1].base; --place) ranges[place] = ranges[place - 1];
    ranges[place] = moved;
  }
}

/// Sorts, and joins ranges that overlap or touch. Returns how many are left, at the start of `ranges`.
usize sort_and_join(std::span<HpaRange> ranges);

template <usize N>
void sort_and_join(StaticVector<HpaRange, N>& ranges) {
  const usize kept = sort_and_join(std::span<HpaRange>(ranges.begin(), ranges.size()));
  while (ranges.size() > kept) ranges.pop_back();
}

}  // namespace ax
