#include "hypervisor/vm/guest_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernel/mm/physical_memory.hpp"

namespace hv {

Result<void> GuestMemory::add(GpaRange gpa, Hpa host, MemoryUse use) {
  if (gpa.empty() || !gpa.fits()) return fail(Error::OutOfRange);
  for (const Region& region : regions_)
    if (region.gpa.overlaps(gpa)) return fail(Error::Overlap);
  TRY(regions_.push_back({gpa, host, use}));
  any_guarded_ |= use.guarded;
  return {};
}

const GuestMemory::Region* GuestMemory::find(Gpa address) const {
  for (const Region& region : regions_)
    if (region.gpa.contains(address)) return &region;
  return nullptr;
}

bool GuestMemory::contains(GpaRange range) const {
  if (!range.fits()) return false;
  while (!range.empty()) {
    const Region* region = find(range.base);
    if (region == nullptr) return false;
    const u64 step = std::min(range.size, region->gpa.end() - range.base);
    range = {range.base + step, range.size - step};
  }
  return true;
}

// Calls action(host pointer, offset in the range, size) piece by piece, after all of the range was found to be RAM.
template <class Action>
Result<void> GuestMemory::for_each_piece(GpaRange range, Action action) const {
  if (!contains(range)) return fail(Error::OutOfRange);
  for (u64 done = 0; done < range.size;) {
    const Gpa at = range.base + done;
    const Region& region = *find(at);
    const u64 size = std::min(range.size - done, region.gpa.end() - at);
    action(mm::direct_map_pointer(region.host + (at - region.gpa.base)), done, size);
    done += size;
  }
  return {};
}

Result<void> GuestMemory::write(Gpa to, std::span<const std::byte> bytes) {
  return for_each_piece({to, bytes.size()}, [&](std::byte* host, u64 offset, u64 size) {
    std::memcpy(host, bytes.data() + offset, size);
    arch::clean_data_cache(reinterpret_cast<u64>(host), size);
  });
}

Result<void> GuestMemory::fill(GpaRange to, MemorySource& source) {
  Result<void> result;
  TRY(for_each_piece(to, [&](std::byte* host, u64 offset, u64 size) {
    if (result) result = source.read(offset, {host, size});
    arch::clean_data_cache(reinterpret_cast<u64>(host), size);
  }));
  return result;
}

Result<void> GuestMemory::read(Gpa from, std::span<std::byte> bytes) const {
  return for_each_piece({from, bytes.size()},
                        [&](const std::byte* host, u64 offset, u64 size) { std::memcpy(bytes.data() + offset, host, size); });
}

Result<bool> GuestMemory::compare_exchange(Gpa at, u32 size, u64 expected, u64 desired) {
  if (!at.is_aligned(size) || (size != sizeof(u32) && size != sizeof(u64))) return fail(Error::Unaligned);
  const Region* region = find(at);  // regions are whole pages
  if (region == nullptr) return fail(Error::OutOfRange);
  if (!region->use.guest_writes) return fail(Error::PermissionDenied);
  std::byte* host = mm::direct_map_pointer(region->host + (at - region->gpa.base));
  if (size == sizeof(u64)) return std::atomic_ref(*reinterpret_cast<u64*>(host)).compare_exchange_strong(expected, desired);
  u32 expected32 = static_cast<u32>(expected);
  return std::atomic_ref(*reinterpret_cast<u32*>(host)).compare_exchange_strong(expected32, static_cast<u32>(desired));
}

u64 GuestMemory::hash() const {
  constexpr u64 kOffset = 0xcbf2'9ce4'8422'2325, kPrime = 0x100'0000'01b3;
  u64 hash = kOffset;
  for (const Region& region : regions_) {
    const std::byte* host = mm::direct_map_pointer(region.host);
    for (u64 at = 0; at < region.gpa.size; at += sizeof(u64)) hash = (hash ^ load_from<u64>(host + at)) * kPrime;
  }
  return hash;
}

void GuestMemory::zero_all() {
  for (const Region& region : regions_)
    if (!region.use.shared) arch::zero_pages_to_memory(mm::direct_map(region.host).value(), region.gpa.size);
}

}  // namespace hv
