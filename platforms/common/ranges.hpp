// Arithmetic on memory ranges that every platform's discovery and memory map need.
#pragma once

#include "kernel/base/range_list.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"
#include "platforms/machine_info.hpp"

namespace ax::platform {

/// The pages that `range` touches; at the end of the address space, as many of them as can be expressed.
constexpr HpaRange whole_pages_around(HpaRange range) {
  const Hpa base = range.base.align_down(kPageSize);
  const Hpa end = range.end().align_up(kPageSize);
  return {base, end < base ? align_down(~u64{0} - base.value(), kPageSize) : end - base};
}

/// The pages that lie inside `range`.
constexpr HpaRange whole_pages_within(HpaRange range) {
  const Hpa base = range.base.align_up(kPageSize);
  const Hpa end = range.end().align_down(kPageSize);
  return {base, base < range.base || end < base ? 0 : end - base};
}

constexpr Range<Hva> identity(HpaRange range) { return {Hva(range.base.value()), range.size}; }

using Holes = StaticVector<HpaRange, kMaxReservedRanges + 1>;

/// The reserved ranges, which are sorted, with the image in its place among them.
inline Result<Holes> holes_of(const MachineInfo& machine) {
  Holes holes;
  bool placed = false;
  for (const HpaRange& range : machine.reserved) {
    if (!placed && machine.image.base < range.base) {
      TRY(holes.push_back(machine.image));
      placed = true;
    }
    TRY(holes.push_back(range));
  }
  if (!placed) TRY(holes.push_back(machine.image));
  return holes;
}

/// RAM that no reserved range touches, page by page. `holes` is sorted.
template <class Visit>
Result<void> for_each_gap(HpaRange ram, std::span<const HpaRange> holes, Visit visit) {
  Hpa next = ram.base;
  for (const HpaRange& hole : holes) {
    const HpaRange pages = whole_pages_around(hole);
    if (pages.end() <= next) continue;
    if (pages.base >= ram.end()) break;
    if (pages.base > next) TRY(visit(HpaRange{next, pages.base - next}));
    next = pages.end();
  }
  if (next < ram.end()) TRY(visit(HpaRange{next, ram.end() - next}));
  return {};
}

}  // namespace ax::platform
