// What may be done with a mapped page, in the words all page-table formats share.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::mm {

/// Normal: write-back cacheable, inner shareable. Device: Device-nGnRE on Arm, uncached on x86.
enum class MemoryType : u8 { Normal, Device };

struct PageAttributes {
  bool read = false;
  bool write = false;
  bool execute = false;
  MemoryType type = MemoryType::Normal;

  friend constexpr bool operator==(const PageAttributes&, const PageAttributes&) = default;
};

inline constexpr PageAttributes kReadOnly{.read = true};
inline constexpr PageAttributes kReadWrite{.read = true, .write = true};
inline constexpr PageAttributes kReadExecute{.read = true, .execute = true};
inline constexpr PageAttributes kReadWriteExecute{.read = true, .write = true, .execute = true};
inline constexpr PageAttributes kDeviceReadWrite{.read = true, .write = true, .type = MemoryType::Device};

}  // namespace ax::mm
