// Channel 2 of the 8254.
#pragma once

#include "kernel/drivers/reference_clock.hpp"

namespace ax::drivers {

/// Lasts 54 ms from start() on; the speaker is off.
class Pit final : public ReferenceClock {
 public:
  bool start() override;
  u64 frequency() const override { return 1'193'182; }
  u32 now() const override;
};

}  // namespace ax::drivers
