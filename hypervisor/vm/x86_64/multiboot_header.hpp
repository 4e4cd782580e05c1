// The header that makes a kernel of any format a Multiboot 1 kernel (the Multiboot specification 0.6.96, section 3.1).
#pragma once

#include <expected>
#include <optional>
#include <span>

#include "hypervisor/vm/boot_layout.hpp"

namespace hv {

struct MultibootHeader {
  usize at = 0;  ///< in the file, in bytes
  u32 flags = 0;

  /// In the first 8 KiB of a kernel.
  static std::optional<MultibootHeader> find(std::span<const std::byte> file);

  /// The header says where the kernel goes and where it is entered; that counts more than its ELF header (3.1.3).
  bool has_addresses() const { return (flags & 1 << 16) != 0; }

  struct Placement {
    Gpa load{};
    std::span<const std::byte> bytes{};  ///< of the file
    u64 memory_size = 0;
    u64 entry = 0;
  };
  /// Only with addresses. `file` is the one that the header was found in. Error: Malformed.
  std::expected<Placement, LayoutError> placement(std::span<const std::byte> file) const;
};

}  // namespace hv
