// Channel 2 of the 8254 as a clock to measure others by.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::drivers {

class Pit {
 public:
  /// Starts a count that lasts 54 ms, the speaker off.
  bool start();
  static constexpr u64 frequency() { return 1'193'182; }
  /// Ticks since start().
  u32 now() const;
};

}  // namespace ax::drivers
