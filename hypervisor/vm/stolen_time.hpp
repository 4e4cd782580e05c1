// The records in which an Arm guest reads how long its vCPUs could not run (paravirtualised time, Arm DEN 0057 3).
#pragma once

#include "hypervisor/vm/guest_memory.hpp"

namespace hv {

/// One record per vCPU, in a page of the guest's RAM that its device tree reserves. A vCPU's record is its CPU's; nothing is
/// written before the vCPU has asked where it is.
class StolenTime {
 public:
  static constexpr u64 kSize = kPageSize;

  /// `page`: kSize bytes of RAM; `hz`: ticks per second. Before the VM runs.
  void place(Gpa page, u64 hz) {
    page_ = page;
    hz_ = hz;
  }
  bool available() const { return hz_ != 0; }

  /// Makes the record of `vcpu`, which has waited for `ticks`, and returns its address. Only when available().
  Gpa announce(GuestMemory& memory, unsigned vcpu, u64 ticks);
  /// The vCPU has waited for `ticks` in all.
  void report(GuestMemory& memory, unsigned vcpu, u64 ticks) const {
    if ((announced_[vcpu]) != 0) write(memory, vcpu, ticks);
  }

 private:
  static constexpr usize kMaxVcpus = 16;
  static constexpr u64 kRecordSize = 64;
  static constexpr u64 kTimeOffset = 8;  // behind revision and attributes, both 0
  static_assert(kMaxVcpus * kRecordSize <= kSize);

  Gpa record(unsigned vcpu) const { return page_ + vcpu * kRecordSize; }
  void write(GuestMemory& memory, unsigned vcpu, u64 ticks) const;

  Gpa page_{};
  u64 hz_ = 0;  ///< 0: there is no page
  std::array<u8, kMaxVcpus> announced_{};
};

}  // namespace hv
