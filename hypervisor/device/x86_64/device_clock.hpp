// Exact conversion between guest TSC ticks and the ticks of a device's oscillator.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Both clocks read 0 at the same time. The product of the two frequencies fits 64 bits.
class DeviceClock {
 public:
  constexpr DeviceClock(u64 tsc_hz, u64 device_hz) : tsc_hz_(tsc_hz), device_hz_(device_hz) {}

  /// Whole device ticks at TSC time `tsc`.
  constexpr u64 ticks(u64 tsc) const { return tsc / tsc_hz_ * device_hz_ + tsc % tsc_hz_ * device_hz_ / tsc_hz_; }
  /// The first TSC time at which ticks() gives `ticks`: a deadline computed with it is never early.
  constexpr u64 tsc(u64 ticks) const {
    return ticks / device_hz_ * tsc_hz_ + (ticks % device_hz_ * tsc_hz_ + device_hz_ - 1) / device_hz_;
  }

 private:
  u64 tsc_hz_;
  u64 device_hz_;
};

}  // namespace hv
