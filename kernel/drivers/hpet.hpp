// The high precision event timer (IA-PC HPET specification 1.0a 2.3).
#pragma once

#include "kernel/drivers/reference_clock.hpp"

namespace ax::drivers {

/// Registers are mapped as device memory at VA = PA.
class Hpet final : public ReferenceClock {
 public:
  explicit constexpr Hpet(Hpa registers) : base_(registers.value()) {}

  bool start() override;
  u64 frequency() const override;
  /// The lower half of the main counter: it may have no more.
  u32 now() const override;

 private:
  u64 base_;
};

}  // namespace ax::drivers
