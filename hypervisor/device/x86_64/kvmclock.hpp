// The paravirtual clock that KVM defined and Linux uses (Linux Documentation/virt/kvm/x86/msr.rst): records in guest
// memory from which a guest computes the time without an exit.
#pragma once

#include "hypervisor/vm/guest_memory.hpp"
#include "kernel/base/result.hpp"

namespace hv {

inline constexpr u64 kNanosecondsPerSecond = 1'000'000'000;

/// Ticks to nanoseconds: ((ticks << shift) * multiplier) >> 32, where a negative shift is one to the right.
struct ClockScale {
  u32 multiplier = 0;
  std::int8_t shift = 0;

  /// For a TSC of `hz` > 0. The multiplier has its top bit set, so that the error is below 2^-31.
  static constexpr ClockScale of(u64 hz) {
    constexpr u64 kScaled = kNanosecondsPerSecond << 32;
    u64 quotient = kScaled / hz, remainder = kScaled % hz;
    int shift = 0;
    for (; quotient >> 31 == 0; --shift) {
      // One more bit of the division; 2 * remainder may not fit.
      const bool carry = remainder >= hz - remainder;
      quotient = 2 * quotient + carry;
      remainder = carry ? remainder - (hz - remainder) : 2 * remainder;
    }
    for (; quotient >> 32 != 0; ++shift) quotient >>= 1;
    return {static_cast<u32>(quotient), static_cast<std::int8_t>(shift)};
  }

  /// As a guest computes it.
  constexpr u64 nanoseconds(u64 ticks) const {
    const u64 shifted = shift >= 0 ? ticks << shift : ticks >> -shift;
    return (shifted >> 32) * multiplier + ((shifted & 0xffff'ffff) * multiplier >> 32);
  }
};

/// MSR values: an address, and bit 0 where a record can be switched off.
constexpr bool clock_enabled(u64 msr) { return (msr & 1) != 0; }
constexpr Gpa clock_record(u64 msr) { return Gpa(msr & ~u64{1}); }

// Each writes one record for a guest that may read it at the same time: the version is odd meanwhile. Error: OutOfRange
// (not in RAM; nothing was written). On the CPU of the vCPU whose record it is.

/// KVM_SYSTEM_TIME_NEW: at `tsc` of the guest, its time was `nanoseconds`. All vCPUs' counters run alike, and the
/// record says so.
Result<void> write_system_time(GuestMemory& memory, Gpa record, u64 tsc, u64 nanoseconds, ClockScale scale);
/// KVM_WALL_CLOCK_NEW: the time of day when the guest's time was 0, in nanoseconds since 1970.
Result<void> write_wall_clock(GuestMemory& memory, Gpa record, u64 nanoseconds);
/// KVM_STEAL_TIME: how long the vCPU wanted to run and could not, in nanoseconds; whether that is so now.
Result<void> write_steal_time(GuestMemory& memory, Gpa record, u64 nanoseconds, bool preempted);

}  // namespace hv
