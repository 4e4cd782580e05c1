#include "unikernel/memory/program_memory.hpp"

#include <bit>

#include "kernel/base/check.hpp"
#include "kernel/base/memory.hpp"
#include "platforms/platform.hpp"

namespace ax::uni {
namespace {

constinit LockedProgramMemory memory;

mm::PageAttributes attributes_of(u8 protection) {
  // No scheme has memory that can be written and not read; programs may ask for it.
  return {.read = true, .write = (protection & kWrite) != 0, .execute = (protection & kExecute) != 0};
}

Range<Hva> put_away(Range<Hva> range) { return {range.base + ProgramMemory::kPutAway, range.size}; }

void* identity(Hpa address) { return reinterpret_cast<void*>(address.value()); }

}  // namespace

LockedProgramMemory& program_memory() { return memory; }

Result<Range<Hva>> ProgramMemory::more_areas() {
  const HpaRange frame = TRY(platform::frames().lock()->allocate(kPageSize, mm::Owner::host()));
  return Range<Hva>{Hva(frame.base.value()), frame.size};
}

Result<void> ProgramMemory::take_memory_over() {
  constexpr u64 kKeptPart = 16, kLeastKept = 1_MiB;
  const u64 free = platform::frames().lock()->free_bytes();
  u64 left = free - std::min(free, std::max(free / kKeptPart, kLeastKept));
  u64 portion = std::bit_floor(std::max(left, kPageSize));
  while (left >= kPageSize && portion >= 64_KiB) {
    portion = std::min(portion, std::bit_floor(left));
    const auto range = platform::frames().lock()->allocate(portion, mm::Owner::host(), std::min(portion, 2_MiB));
    if (!range) {
      portion /= 2;
      continue;
    }
    const u64 bitmap_size = align_up(PagePool::bitmap_bytes(portion / kPageSize), kPageSize);
    const HpaRange bitmap = TRY(platform::frames().lock()->allocate(bitmap_size, mm::Owner::host()));
    __builtin_memset(identity(bitmap.base), 0, bitmap_size);
    if (!pool_.add(*range, {static_cast<u64*>(identity(bitmap.base)), bitmap_size / sizeof(u64)})) break;
    left -= portion;
    total_ += portion;
  }
  return total_ != 0 ? Result<void>{} : fail(Error::OutOfMemory);
}

/// Frames for every page of `range`, zeroed, mapped. On an error everything is as before.
Result<void> ProgramMemory::populate(Range<Hva> range, u8 protection) {
  if (pool_.free_pages() < range.size / kPageSize) return fail(Error::OutOfMemory);
  Hva at = range.base;
  while (at < range.end()) {
    const HpaRange frames = TRY(pool_.take((range.end() - at) / kPageSize));
    __builtin_memset(identity(frames.base), 0, frames.size);
    const Result<void> mapped = platform::map_pages({at, frames.size}, frames.base, attributes_of(protection));
    if (!mapped) {
      pool_.give_back(frames);
      release({range.base, at - range.base});
      return mapped;
    }
    at += frames.size;
  }
  return {};
}

void ProgramMemory::release(Range<Hva> range) {
  // Nobody may use a frame any more when it goes back; until then the pool is locked by our caller.
  for (Hva at = range.base; at < range.end(); at += kPageSize) {
    const auto frame = platform::physical_address(at);
    if (frame) pool_.give_back({*frame, kPageSize});
  }
  const Result<void> unmapped = platform::unmap_pages(range);
  AX_CHECK(unmapped.has_value());
}

Result<Hva> ProgramMemory::map(u64 size, Hva hint, u8 protection) {
  // Where large pages fit, mappings begin at one: the search then finds it by itself.
  Result<Range<Hva>> found = areas_.find_free(size >= 2_MiB ? size + 2_MiB : size, hint);
  if (!found) return fail(found.error());
  const Range<Hva> range{size >= 2_MiB && found->base != hint ? found->base.align_up(2_MiB) : found->base, size};
  TRY(map_fixed(range, protection));
  return range.base;
}

Result<void> ProgramMemory::map_fixed(Range<Hva> range, u8 protection) {
  TRY(unmap(range));
  const bool populated = protection != kNoAccess;
  if (populated) TRY(populate(range, protection));
  const Result<void> inserted = areas_.insert(range, protection, populated);
  if (!inserted && populated) release(range);
  return inserted;
}

Result<void> ProgramMemory::unmap(Range<Hva> range) {
  if (!areas_.in_window(range)) return fail(Error::OutOfRange);
  TRY(areas_.isolate(range));
  for (Area* area = areas_.first_above(range.base); area != nullptr && area->range.base < range.end(); area = area->next) {
    if (area->populated) release(area->protection == kNoAccess ? put_away(area->range) : area->range);
  }
  areas_.remove(range);
  return {};
}

/// Moves the frames of `from`, page by page. Tables for the new place may be missing: then there is no memory for them, which
/// is fatal, as frames would be lost otherwise.
void ProgramMemory::move(Range<Hva> from, Hva to, u8 protection) {
  for (u64 offset = 0; offset < from.size; offset += kPageSize) {
    const auto frame = platform::physical_address(from.base + offset);
    AX_CHECK(frame.has_value());
    const Result<void> mapped = platform::map_pages({to + offset, kPageSize}, *frame, attributes_of(protection));
    AX_CHECK(mapped.has_value());
  }
  const Result<void> unmapped = platform::unmap_pages(from);
  AX_CHECK(unmapped.has_value());
}

Result<void> ProgramMemory::protect(Range<Hva> range, u8 protection) {
  if (!areas_.in_window(range)) return fail(Error::OutOfRange);
  Hva covered = range.base;
  for (const Area* area = areas_.first_above(range.base); area != nullptr && area->range.base <= covered; area = area->next) {
    covered = area->range.end();
  }
  if (covered < range.end()) return fail(Error::NotFound);
  TRY(areas_.isolate(range));
  for (Area* area = areas_.first_above(range.base); area != nullptr && area->range.base < range.end(); area = area->next) {
    if (area->protection == protection) continue;
    if (!area->populated) {
      TRY(populate(area->range, protection));
      area->populated = true;
    } else if (protection == kNoAccess) {
      move(area->range, put_away(area->range).base, kRead);
    } else if (area->protection == kNoAccess) {
      move(put_away(area->range), area->range.base, protection);
    } else {
      TRY(platform::protect_pages(area->range, attributes_of(protection)));
    }
    area->protection = protection;
  }
  return {};
}

Result<Hva> ProgramMemory::resize(Range<Hva> old, u64 size, bool may_move) {
  if (!areas_.in_window(old) || size > kWindow.size) return fail(Error::OutOfRange);
  if (size <= old.size) {
    if (size < old.size) TRY(unmap({old.base + size, old.size - size}));
    return old.base;
  }
  const Area* area = areas_.find(old.base);
  if (area == nullptr) return fail(Error::NotFound);
  const u8 protection = area->protection;
  // What mprotect() has cut and given the same protection again is still one mapping.
  for (; area->range.end() < old.end(); area = area->next) {
    const Area* next = area->next;
    if (next == nullptr || next->range.base != area->range.end() || next->protection != protection) return fail(Error::NotFound);
  }
  const Range<Hva> more{old.end(), size - old.size};
  if (areas_.in_window(more) && areas_.is_free(more)) {
    TRY(map_fixed(more, protection));
    return old.base;
  }
  if (!may_move || protection == kNoAccess) return fail(Error::OutOfMemory);
  const Range<Hva> place = TRY(areas_.find_free(size, Hva(0)));
  TRY(map_fixed({place.base + old.size, size - old.size}, protection));
  TRY(areas_.isolate(old));
  TRY(areas_.insert({place.base, old.size}, protection, true));
  move(old, place.base, protection);
  areas_.remove(old);
  return place.base;
}

Result<void> ProgramMemory::forget(Range<Hva> range) {
  if (!areas_.in_window(range)) return fail(Error::OutOfRange);
  for (Hva at = range.base; at < range.end(); at += kPageSize) {
    const auto frame = platform::physical_address(at);
    if (frame) __builtin_memset(identity(*frame), 0, kPageSize);
  }
  return {};
}

bool ProgramMemory::is_guard(Hva address) const {
  const Area* area = areas_.find(address);
  return area != nullptr && area->protection == kNoAccess;
}

}  // namespace ax::uni
