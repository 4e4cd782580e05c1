// The memory map that firmware would report: E820. ACPI 6.5 15.
#pragma once

#include <span>

#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Address ranges that a PC does not use as RAM, though the VM has memory there.
inline constexpr Gpa kVideoHole{0xa'0000};
inline constexpr GpaRange kFirmwareTables{Gpa(0xe'0000), 0x2'0000};  ///< RSDP and ACPI tables
inline constexpr Gpa kHighMemory{0x10'0000};

enum class MemoryType : u32 { Usable = 1, Reserved = 2 };

struct MemoryMapEntry {
  GpaRange range{};
  MemoryType type = MemoryType::Usable;
  friend constexpr bool operator==(const MemoryMapEntry&, const MemoryMapEntry&) = default;
};

/// At most two entries for each range of RAM, and one for the firmware's tables. Sorted, without overlap.
class MemoryMap {
 public:
  static constexpr usize kMaxEntries = 34;

  /// `ram` is sorted and does not overlap; what is beyond the capacity is left out.
  explicit MemoryMap(std::span<const GpaRange> ram);

  std::span<const MemoryMapEntry> entries() const { return entries_; }
  /// Kilobytes of usable memory from 0 and from 1 MiB on, up to the first gap.
  u32 lower_kib() const { return kib_at(Gpa(0)); }
  u32 upper_kib() const { return kib_at(kHighMemory); }

 private:
  bool add(Gpa from, Gpa to, MemoryType type);
  u32 kib_at(Gpa base) const;
  StaticVector<MemoryMapEntry, kMaxEntries> entries_{};
};

}  // namespace hv
