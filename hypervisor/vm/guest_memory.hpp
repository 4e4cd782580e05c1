// The host's only way to a guest's memory.
#pragma once

#include <arch/cache.hpp>
#include <optional>
#include <span>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/mm/physical_memory.hpp"

namespace hv {

inline constexpr usize kMaxVmMemoryRegions = 16;

/// What a region is for.
struct MemoryUse {
  bool guest_writes = true;  ///< false: stores on behalf of the guest are refused
  bool guarded = false;      ///< the guest may not read, write and execute all of it
  bool shared = false;       ///< with other VMs: zero_all() leaves it alone
};

/// Where GuestMemory::fill() gets bytes from.
class MemorySource {
 public:
  /// All of `out`, from `offset` on.
  virtual Result<void> read(u64 offset, std::span<std::byte> out) = 0;

 protected:
  ~MemorySource() = default;
};

/// A guest's RAM, by guest-physical address. Everything is copied, once: the guest may change its memory while the host looks
/// at it, so no pointer into it is ever handed out. Every access is checked against the regions; a copy may span regions
/// that touch. Writes reach memory, not only the caches: guests start with theirs off.
///
/// Any context; may take long, so large copies belong into host threads.
class GuestMemory {
 public:
  /// Adds whole pages of RAM [gpa, gpa + size) that lie at `host`, mapped for the host. Errors: OutOfMemory (too many),
  /// Overlap, OutOfRange (empty, or wraps).
  Result<void> add(GpaRange gpa, Hpa host, MemoryUse use = {});

  /// Host to guest. Error: OutOfRange (part of it is not RAM; nothing was written then).
  Result<void> write(Gpa to, std::span<const std::byte> bytes);
  /// Lets `source` write all of `to`, piece by piece. Only before the guest runs: afterwards nobody but this class looks at its memory.
  /// Errors: OutOfRange (as write()), those of the source.
  Result<void> fill(GpaRange to, MemorySource& source);
  /// Guest to host. Error: OutOfRange (nothing was read then).
  Result<void> read(Gpa from, std::span<std::byte> bytes) const;
  /// A little-endian number of 1, 2, 4 or 8 bytes, read at once; nothing if it is not within one region. Fast: for page tables
  /// and operands of instructions.
  std::optional<u64> load(Gpa at, u32 size) const {
    const std::byte* host = find_host({at, size});
    if (host == nullptr) return std::nullopt;
    switch (size) {
      case 1: return load_from<u8>(host);
      case 2: return load_from<u16>(host);
      case 4: return load_from<u32>(host);
      case 8: return load_from<u64>(host);
      default: return std::nullopt;
    }
  }
  /// The same in the other direction, for the guest; false if it is not within one region that the guest may write.
  bool store(Gpa at, u32 size, u64 value) {
    std::byte* host = find_host({at, size}, true);
    if (host == nullptr || !is_power_of_two(size) || size > sizeof value) return false;
    switch (size) {
      case 1: store_to(host, static_cast<u8>(value)); break;
      case 2: store_to(host, static_cast<u16>(value)); break;
      case 4: store_to(host, static_cast<u32>(value)); break;
      default: store_to(host, value);
    }
    arch::clean_data_cache(reinterpret_cast<u64>(host), size);
    return true;
  }
  /// A word of 8 bytes of which the bits in `mask` are to be `value`.
  struct Word {
    Gpa at{};
    u64 mask = 0;
    u64 value = 0;
  };
  /// Whether all of them are so. They must lie in one region.
  bool holds(std::span<const Word> words) const {
    for (const Region& region : regions_) {
      if (!region.gpa.contains(words[0].at)) continue;
      const std::byte* host = mm::direct_map_pointer(region.host);
      for (const Word& word : words) {
        const u64 offset = word.at - region.gpa.base;
        if (offset > region.gpa.size - sizeof(u64) || (load_from<u64>(host + offset) & word.mask) != word.value) return false;
      }
      return true;
    }
    return false;
  }
  /// As read(), for a few bytes of known number within one region; false otherwise.
  template <usize kSize>
  bool read_fast(Gpa from, std::span<std::byte, kSize> bytes) const {
    const std::byte* host = find_host({from, kSize});
    if (host != nullptr) __builtin_memcpy(bytes.data(), host, kSize);
    return host != nullptr;
  }

  /// Puts `desired` in the place of `expected` at `at`, as one access of the guest's own would: 4 or 8 bytes, aligned. False:
  /// another value was there. Errors: OutOfRange, Unaligned, PermissionDenied.
  Result<bool> compare_exchange(Gpa at, u32 size, u64 expected, u64 desired);
  /// A checksum of all of it (FNV-1a over words): tells whether two states are the same, nothing more.
  u64 hash() const;
  /// Fills all of it with zeros, but for what is shared.
  void zero_all();

  bool contains(GpaRange range) const;
  /// Whether the guest's own access to `address` can fault although there is memory.
  bool is_guarded(Gpa address) const {
    if (!any_guarded_) return false;
    const Region* region = find(address);
    return region != nullptr && region->use.guarded;
  }

 private:
  struct Region {
    GpaRange gpa{};
    Hpa host{};
    MemoryUse use{};
  };

  const Region* find(Gpa address) const;
  std::byte* find_host(GpaRange range, bool write = false) const {
    for (const Region& region : regions_)
      if (region.gpa.contains(range) && region.use.guest_writes >= write)
        return mm::direct_map_pointer(region.host + (range.base - region.gpa.base));
    return nullptr;
  }
  template <class T>
  static T load_from(const std::byte* host) {
    T value;
    __builtin_memcpy(&value, host, sizeof value);
    return value;
  }
  template <class T>
  static void store_to(std::byte* host, T value) { __builtin_memcpy(host, &value, sizeof value); }
  template <class Action>
  Result<void> for_each_piece(GpaRange range, Action action) const;

  StaticVector<Region, kMaxVmMemoryRegions> regions_{};
  bool any_guarded_ = false;
};

}  // namespace hv
