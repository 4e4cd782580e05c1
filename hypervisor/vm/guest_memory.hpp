// The host's only way to a guest's memory.
#pragma once

#include <arch/cache.hpp>
#include <span>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"

namespace hv {

inline constexpr usize kMaxVmMemoryRegions = 16;

/// A guest's RAM, by guest-physical address. Everything is copied, once: the guest may change its memory while the host looks
/// at it, so no pointer into it is ever handed out. Every access is checked against the regions; a copy may span regions
/// that touch. Writes reach memory, not only the caches: guests start with theirs off.
///
/// Any context; may take long, so large copies belong into host threads.
class GuestMemory {
 public:
  /// Adds whole pages of RAM [gpa, gpa + size) that lie at `host`, mapped for the host. Errors: OutOfMemory (too many),
  /// Overlap, OutOfRange (empty, or wraps).
  Result<void> add(GpaRange gpa, Hpa host);

  /// Host to guest. Error: OutOfRange (part of it is not RAM; nothing was written then).
  Result<void> write(Gpa to, std::span<const std::byte> bytes);
  /// Guest to host. Error: OutOfRange (nothing was read then).
  Result<void> read(Gpa from, std::span<std::byte> bytes) const;
  /// Puts `desired` in the place of `expected` at `at`, as one access of the guest's own would: 4 or 8 bytes, aligned. False:
  /// another value was there. Errors: OutOfRange, Unaligned.
  Result<bool> compare_exchange(Gpa at, u32 size, u64 expected, u64 desired);
  /// Fills all of it with zeros.
  void zero_all();

  bool contains(GpaRange range) const;

 private:
  struct Region {
    GpaRange gpa{};
    Hpa host{};
  };

  const Region* find(Gpa address) const;
  template <class Action>
  Result<void> for_each_piece(GpaRange range, Action action) const;

  StaticVector<Region, kMaxVmMemoryRegions> regions_{};
};

}  // namespace hv
