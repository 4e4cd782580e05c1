// Physical memory that others have filled in and that must be believed with care: firmware tables, boot loader
// structures.
#pragma once

#include <cstddef>
#include <span>

#include "kernel/base/types.hpp"

namespace ax::mm {

/// Lets parsers read physical memory without knowing how it is mapped; in unit tests it is a block of bytes.
class PhysicalWindow {
 public:
  /// The `size` bytes at `address`, or an empty span when they cannot all be read. They stay readable as long as the
  /// window lives.
  virtual std::span<const std::byte> read(Hpa address, u64 size) const = 0;

 protected:
  ~PhysicalWindow() = default;
};

/// A little-endian number at `offset`; the caller has checked that it lies inside.
template <class T>
T load_le(std::span<const std::byte> bytes, usize offset) {
  T value;
  __builtin_memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace ax::mm
