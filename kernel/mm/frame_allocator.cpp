#include "kernel/mm/frame_allocator.hpp"

#include <algorithm>

#include "kernel/base/check.hpp"
#include "kernel/mm/physical_memory.hpp"

namespace ax::mm {

namespace {

/// Allocations of this size and more come from the top of memory.
constexpr u64 kLargeAllocation = 2_MiB;

constexpr usize kMinRuns = 1024;
constexpr usize kMaxRuns = 65536;
constexpr u64 kFramesPerRun = 32;

/// A run counts its frames in 32 bits.
constexpr u64 kMaxRangeSize = u64{1} << 44;
/// No architecture has larger physical addresses.
constexpr Hpa kMemoryEnd{u64{1} << 52};

HpaRange shrink_to_pages(HpaRange range) {
  const Hpa base = range.base.align_up(kPageSize);
  const Hpa end = range.end().align_down(kPageSize);
  return {base, end > base ? end - base : 0};
}

HpaRange grow_to_pages(HpaRange range) {
  const Hpa base = range.base.align_down(kPageSize);
  return {base, range.empty() ? 0 : range.end().align_up(kPageSize) - base};
}

Result<void> check_exact(HpaRange range, Owner owner) {
  if (!range.base.is_aligned(kPageSize) || !is_aligned(range.size, kPageSize)) return fail(Error::Unaligned);
  if (range.empty() || owner == Owner{}) return fail(Error::InvalidArgument);
  if (!range.fits()) return fail(Error::OutOfRange);
  return {};
}

}  // namespace

FrameAllocator::Run FrameAllocator::make_run(HpaRange range, Owner owner, Origin origin) {
  Run run{.base = range.base, .frames = static_cast<u32>(range.size / kPageSize), .origin = origin};
  run.set_owner(owner);
  return run;
}

/// Index of the run that holds `address`, or of the first one above it.
usize FrameAllocator::find(Hpa address) const {
  const Run* run = std::partition_point(runs_, runs_ + count_, [=](const Run& r) { return r.end() <= address; });
  return static_cast<usize>(run - runs_);
}

void FrameAllocator::insert(usize index, const Run& run) {
  AX_CHECK(count_ < capacity_);
  std::copy_backward(runs_ + index, runs_ + count_, runs_ + count_ + 1);
  runs_[index] = run;
  ++count_;
}

/// Makes `part` of a run a run of its own; returns its index. Needs room for two more runs.
usize FrameAllocator::cut(usize index, HpaRange part) {
  const HpaRange whole = runs_[index].range();
  const Owner owner = runs_[index].owner();
  const Origin origin = runs_[index].origin;
  if (part.base > whole.base) {
    insert(index, make_run({whole.base, part.base - whole.base}, owner, origin));
    ++index;
  }
  runs_[index] = make_run(part, owner, origin);
  if (part.end() < whole.end()) insert(index + 1, make_run({part.end(), whole.end() - part.end()}, owner, origin));
  return index;
}

// ---- the machine's memory ----

/// Gives all of `range` to `owner`, whatever was known of it before.
Result<void> FrameAllocator::overlay(HpaRange range, Owner owner, Origin origin) {
  Hpa at = range.base;
  while (at < range.end()) {
    if (!has_room()) return fail(Error::OutOfMemory);
    const usize index = find(at);
    Hpa end = range.end();
    if (index < count_ && runs_[index].base <= at) {
      end = std::min(end, runs_[index].end());
      Run& run = runs_[cut(index, {at, end - at})];
      run.set_owner(owner);
      if (owner == Owner{}) run.origin = origin;
    } else {
      if (index < count_) end = std::min(end, runs_[index].base);
      insert(index, make_run({at, end - at}, owner, origin));
    }
    at = end;
  }
  return {};
}

Result<void> FrameAllocator::describe(const Memory& memory) {
  for (const auto ranges : {memory.ram, memory.reserved, memory.host}) {
    for (const HpaRange& range : ranges) {
      if (!range.fits() || range.end() > kMemoryEnd || range.size >= kMaxRangeSize) return fail(Error::OutOfRange);
    }
  }
  for (const HpaRange& range : memory.ram) TRY(overlay(shrink_to_pages(range), {}, Origin::Ram));
  for (const HpaRange& range : memory.reserved) TRY(overlay(grow_to_pages(range), {}, Origin::Reserved));
  for (const HpaRange& range : memory.host) TRY(overlay(grow_to_pages(range), Owner::host(), Origin::Reserved));
  merge_free_runs(0, count_);
  return {};
}

/// Describes the memory in the small array, then moves to one in RAM.
Result<void> FrameAllocator::settle(const Memory& memory) {
  TRY(describe(memory));
  const usize wanted = std::clamp<u64>(free_bytes() / kPageSize / kFramesPerRun, kMinRuns, kMaxRuns);
  const HpaRange array = TRY(allocate(wanted * sizeof(Run), Owner::host()));
  Run* runs = reinterpret_cast<Run*>(direct_map_pointer(array.base));
  std::copy(runs_, runs_ + count_, runs);
  runs_ = runs;
  capacity_ = array.size / sizeof(Run);
  return {};
}

Result<void> FrameAllocator::initialise(const Memory& memory) {
  if (runs_ != nullptr) return fail(Error::BadState);
  Run boot_runs[kMaxBootRuns];
  runs_ = boot_runs;
  capacity_ = kMaxBootRuns;
  const Result<void> settled = settle(memory);
  if (!settled) {
    runs_ = nullptr;
    count_ = capacity_ = 0;
  }
  return settled;
}

// ---- allocation ----

Result<HpaRange> FrameAllocator::allocate(u64 bytes, Owner owner, u64 alignment) {
  if (bytes == 0 || owner == Owner{} || !is_power_of_two(alignment)) return fail(Error::InvalidArgument);
  if (bytes >= kMaxRangeSize || !has_room()) return fail(Error::OutOfMemory);
  bytes = align_up(bytes, kPageSize);
  alignment = std::max(alignment, kPageSize);
  return bytes >= kLargeAllocation ? allocate_high(bytes, owner, alignment) : allocate_low(bytes, owner, alignment);
}

Result<HpaRange> FrameAllocator::allocate_low(u64 bytes, Owner owner, u64 alignment) {
  std::optional<Hpa> first_free;
  for (usize i = find(lowest_free_); i < count_; ++i) {
    const Run run = runs_[i];
    if (!run.is_free() || run.origin != Origin::Ram) continue;
    if (!first_free) first_free = run.base;
    const Hpa base = run.base.align_up(alignment);
    if (base < run.base || base >= run.end() || run.end() - base < bytes) continue;
    runs_[cut(i, {base, bytes})].set_owner(owner);
    lowest_free_ = *first_free == base ? base + bytes : *first_free;
    return HpaRange{base, bytes};
  }
  return fail(Error::OutOfMemory);
}

Result<HpaRange> FrameAllocator::allocate_high(u64 bytes, Owner owner, u64 alignment) {
  for (usize i = count_; i-- != 0;) {
    const Run run = runs_[i];
    if (!run.is_free() || run.origin != Origin::Ram || run.bytes() < bytes) continue;
    const Hpa base = (run.end() - bytes).align_down(alignment);
    if (base < run.base) continue;
    runs_[cut(i, {base, bytes})].set_owner(owner);
    return HpaRange{base, bytes};
  }
  return fail(Error::OutOfMemory);
}

Result<void> FrameAllocator::claim(HpaRange range, Owner owner, Origin origin) {
  TRY(check_exact(range, owner));
  // Every run that the range touches must be of this origin; a free one that holds all of it is what we want.
  const usize first = find(range.base);
  Hpa covered = range.base;
  for (usize i = first; covered < range.end(); ++i) {
    if (i == count_ || runs_[i].base > covered || runs_[i].origin != origin) return fail(Error::OutOfRange);
    covered = runs_[i].end();
  }
  if (!runs_[first].is_free() || !runs_[first].range().contains(range)) return fail(Error::Overlap);
  if (!has_room()) return fail(Error::OutOfMemory);
  runs_[cut(first, range)].set_owner(owner);
  return {};
}

Result<void> FrameAllocator::allocate_at(HpaRange range, Owner owner) { return claim(range, owner, Origin::Ram); }

Result<void> FrameAllocator::allocate_reserved(HpaRange range, Owner owner) { return claim(range, owner, Origin::Reserved); }

// ---- release ----

void FrameAllocator::release(Run& run) {
  run.set_owner({});
  if (run.origin == Origin::Ram) lowest_free_ = std::min(lowest_free_, run.base);
}

/// Joins free neighbours among the runs [first, last).
void FrameAllocator::merge_free_runs(usize first, usize last) {
  if (first == last) return;
  usize kept = first;
  for (usize i = first + 1; i < last; ++i) {
    Run& left = runs_[kept];
    const Run& right = runs_[i];
    if (left.is_free() && right.is_free() && left.origin == right.origin && left.end() == right.base &&
        right.bytes() < kMaxRangeSize - left.bytes()) {
      left.frames += right.frames;
    } else {
      runs_[++kept] = right;
    }
  }
  if (kept + 1 == last) return;
  std::copy(runs_ + last, runs_ + count_, runs_ + kept + 1);
  count_ -= last - kept - 1;
}

void FrameAllocator::free(HpaRange allocation, Owner owner) {
  AX_CHECK(owner != Owner{});
  const usize index = find(allocation.base);
  AX_CHECK(index < count_ && runs_[index].range() == allocation && runs_[index].owner() == owner);
  release(runs_[index]);
  merge_free_runs(index == 0 ? 0 : index - 1, std::min(index + 2, count_));
}

u64 FrameAllocator::free_all(Owner owner) {
  AX_CHECK(owner != Owner{});
  u64 bytes = 0;
  for (usize i = 0; i < count_; ++i) {
    if (runs_[i].owner() != owner) continue;
    bytes += runs_[i].bytes();
    release(runs_[i]);
  }
  merge_free_runs(0, count_);
  return bytes;
}

// ---- questions ----

u64 FrameAllocator::bytes_of(Owner owner) const {
  u64 bytes = 0;
  for (usize i = 0; i < count_; ++i) bytes += runs_[i].owner() == owner ? runs_[i].bytes() : 0;
  return bytes;
}

u64 FrameAllocator::free_bytes() const {
  u64 bytes = 0;
  for (usize i = 0; i < count_; ++i) bytes += runs_[i].is_free() && runs_[i].origin == Origin::Ram ? runs_[i].bytes() : 0;
  return bytes;
}

std::optional<Owner> FrameAllocator::owner_of(Hpa address) const {
  const usize index = find(address);
  if (index == count_ || runs_[index].base > address) return std::nullopt;
  return runs_[index].owner();
}

usize FrameAllocator::allocation_count() const {
  return static_cast<usize>(std::count_if(runs_, runs_ + count_, [](const Run& run) { return !run.is_free(); }));
}

}  // namespace ax::mm
