// A counter of known frequency, to measure others by.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::drivers {

class ReferenceClock {
 public:
  /// False: it cannot be used.
  virtual bool start() = 0;
  /// Ticks per second. After start().
  virtual u64 frequency() const = 0;
  /// Ticks, modulo 2^32; right for at least 50 ms after start().
  virtual u32 now() const = 0;

 protected:
  ~ReferenceClock() = default;
};

}  // namespace ax::drivers
