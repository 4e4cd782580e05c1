#include "unikernel/memory/page_pool.hpp"

#include <algorithm>
#include <bit>

#include "kernel/base/check.hpp"

namespace ax::uni {
namespace {

constexpr u64 kLargePages = 2_MiB / kPageSize;
constexpr u64 kWord = 64;

}  // namespace

Result<void> PagePool::add(HpaRange range, std::span<u64> bitmap) {
  TRY(regions_.push_back({range, bitmap, 0}));
  free_ += range.size / kPageSize;
  return {};
}

/// Free frames from `page` on, at most `most`.
u64 PagePool::run_at(const Region& region, u64 page, u64 most) {
  const u64 end = std::min(region.pages(), page + most);
  u64 at = page;
  while (at < end && !region.is_taken(at)) {
    const bool whole_word = at % kWord == 0 && end - at >= kWord && region.taken[at / kWord] == 0;
    at += whole_word ? kWord : 1;
  }
  return at - page;
}

/// The first free frame from region.next on, then from the start, at which a large page begins if that is wanted; or pages().
u64 PagePool::find(Region& region, u64 pages, u64 alignment) {
  const u64 base = region.range.base.value() / kPageSize;
  const auto search = [&](u64 from, u64 to) {
    for (u64 page = align_up(base + from, alignment) - base; page < to;) {
      if (alignment == 1 && region.taken[page / kWord] == ~u64{0}) {
        page = align_down(page, kWord) + kWord;
        continue;
      }
      if (!region.is_taken(page) && (alignment == 1 || run_at(region, page, pages) >= alignment)) return page;
      page += alignment;
    }
    return region.pages();
  };
  const u64 found = search(region.next, region.pages());
  return found < region.pages() ? found : search(0, region.next);
}

Result<HpaRange> PagePool::take(u64 pages) {
  for (const u64 alignment : {kLargePages, u64{1}}) {
    if (pages < alignment) continue;
    for (Region& region : regions_) {
      const u64 page = find(region, pages, alignment);
      if (page >= region.pages()) continue;
      const u64 count = run_at(region, page, pages);
      for (u64 i = page; i < page + count; ++i) region.taken[i / kWord] |= u64{1} << i % kWord;
      region.next = page + count;
      free_ -= count;
      return HpaRange{region.range.base + page * kPageSize, count * kPageSize};
    }
  }
  return fail(Error::OutOfMemory);
}

void PagePool::give_back(HpaRange range) {
  for (Region& region : regions_) {
    if (!region.range.contains(range)) continue;
    const u64 first = (range.base - region.range.base) / kPageSize, count = range.size / kPageSize;
    for (u64 i = first; i < first + count; ++i) region.taken[i / kWord] &= ~(u64{1} << i % kWord);
    free_ += count;
    return;
  }
  AX_CHECK(false);  // only what take() gave comes back
}

}  // namespace ax::uni
