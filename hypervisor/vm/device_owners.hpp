// Who has which device registers, PCI functions and I/O ports: each belongs to one VM at most.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Manager thread only. VMs go by their number.
class DeviceOwners {
 public:
  static constexpr usize kMaxRanges = 512;
  using Ranges = StaticVector<HpaRange, kMaxRanges>;
  static constexpr u16 kHost = 0xffff;  ///< in the place of a VM's number: devices that the host uses itself

  /// I/O ports stand at addresses where nothing else can be.
  static HpaRange ports(u16 first, u64 count) { return {Hpa(u64{1} << 63 | first), count}; }

  static HpaRange pages_around(HpaRange range) {
    const Hpa base = range.base.align_down(kPageSize);
    return {base, range.size == 0 ? 0 : range.end().align_up(kPageSize) - base};
  }

  /// `pages` is `vm`'s from now on; what it has already counts as free. Errors: Busy (another VM has a part), OutOfMemory.
  Result<void> claim(u16 vm, HpaRange pages) {
    for (const Claim& other : claims_)
      if (other.vm != vm && other.pages.overlaps(pages)) return fail(Error::Busy);
    TRY(claims_.push_back({pages, vm}));
    return {};
  }

  /// Everything that `vm` had is free.
  void release(u16 vm) {
    for (usize i = claims_.size(); i-- > 0;)
      if (claims_[i].vm == vm) claims_.erase(i);
  }

  /// Appends what VMs other than `vm` have.
  void of_others(u16 vm, Ranges& ranges) const {
    for (const Claim& claim : claims_)
      if (claim.vm != vm) static_cast<void>(ranges.push_back(claim.pages));
  }

 private:
  struct Claim {
    HpaRange pages{};
    u16 vm = 0;
  };
  StaticVector<Claim, kMaxRanges> claims_{};
};

}  // namespace hv
