// The high precision event timer as a clock to measure others by (IA-PC HPET specification 1.0a 2.3).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::drivers {

/// Registers are mapped as device memory at VA = PA.
class Hpet {
 public:
  explicit constexpr Hpet(Hpa registers) : base_(registers.value()) {}

  /// Starts the main counter. False: there is no usable HPET.
  bool start();
  u64 frequency() const;
  /// Ticks; the lower 32 bits count, since the counter may have no more.
  u32 now() const;

 private:
  u64 base_;
};

}  // namespace ax::drivers
