#include "unikernel/memory/areas.hpp"

#include <new>

namespace ax::uni {

Result<Range<Hva>> Areas::find_free(u64 size, Hva hint) const {
  if (size == 0 || size > window_.size) return fail(Error::OutOfMemory);
  const Range<Hva> wanted{hint, size};
  if (in_window(wanted) && is_free(wanted)) return wanted;
  Hva start = window_.base;
  for (const Area* area = first_; area != nullptr; area = area->next) {
    if (area->range.base - start >= size) return Range<Hva>{start, size};
    start = area->range.end();
  }
  if (window_.end() - start >= size) return Range<Hva>{start, size};
  return fail(Error::OutOfMemory);
}

bool Areas::is_free(Range<Hva> range) const {
  const Area* area = first_above(range.base);
  return area == nullptr || !area->range.overlaps(range);
}

Area* Areas::first_above(Hva address) const {
  Area* area = first_;
  while (area != nullptr && area->range.end() <= address) area = area->next;
  return area;
}

const Area* Areas::find(Hva address) const {
  const Area* area = first_above(address);
  return area != nullptr && area->range.contains(address) ? area : nullptr;
}

Result<Area*> Areas::make() {
  if (unused_ == nullptr) {
    const Range<Hva> page = TRY(more_());
    for (u64 at = 0; at + sizeof(Area) <= page.size; at += sizeof(Area)) {
      forget(*::new (reinterpret_cast<void*>(page.base.value() + at)) Area);
    }
  }
  Area* area = unused_;
  unused_ = area->next;
  *area = {};
  return area;
}

void Areas::forget(Area& area) {
  area.next = unused_;
  unused_ = &area;
}

Result<void> Areas::insert(Range<Hva> range, u8 protection, bool populated) {
  Area* area = TRY(make());
  Area** link = &first_;
  while (*link != nullptr && (*link)->range.base < range.base) link = &(*link)->next;
  *area = {range, protection, populated, *link};
  *link = area;
  return {};
}

Result<void> Areas::cut(Hva at) {
  Area* area = first_above(at);
  if (area == nullptr || area->range.base >= at) return {};
  Area* upper = TRY(make());
  *upper = *area;
  upper->range = {at, area->range.end() - at};
  area->range.size = at - area->range.base;
  area->next = upper;
  return {};
}

Result<void> Areas::isolate(Range<Hva> range) {
  TRY(cut(range.base));
  return cut(range.end());
}

void Areas::remove(Range<Hva> range) {
  Area** link = &first_;
  while (*link != nullptr) {
    Area* area = *link;
    if (!range.contains(area->range)) {
      link = &area->next;
      continue;
    }
    *link = area->next;
    forget(*area);
  }
}

}  // namespace ax::uni
