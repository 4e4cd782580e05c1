// ELF kernels of 32 and 64 bits. System V ABI chapters 4 and 5.
#pragma once

#include <optional>

#include "hypervisor/vm/boot_layout.hpp"
#include "hypervisor/vm/x86_64/boot_plan.hpp"

namespace hv {

struct ElfSegment {
  Gpa address{};  ///< physical
  std::span<const std::byte> bytes{};
  u64 memory_size = 0;
};

/// What a loader needs of the file; the views refer to it.
struct ElfImage {
  StaticVector<ElfSegment, kMaxElfSegments> segments{};
  u64 entry = 0;                   ///< physical where it lies in a segment by its virtual address
  std::optional<u32> pvh_entry{};  ///< of the note XEN_ELFNOTE_PHYS32_ENTRY

  /// Error texts name the damage.
  static std::expected<ElfImage, LayoutError> parse(std::span<const std::byte> file);
};

}  // namespace hv
