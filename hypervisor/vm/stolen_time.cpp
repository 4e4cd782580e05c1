#include "hypervisor/vm/stolen_time.hpp"

namespace hv {
namespace {

constexpr u64 kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

Gpa StolenTime::announce(GuestMemory& memory, unsigned vcpu, u64 ticks) {
  // The page lies in the VM's RAM, so that no store fails.
  static_cast<void>(memory.store(record(vcpu), sizeof(u64), 0));
  write(memory, vcpu, ticks);
  announced_[vcpu] = 1;
  return record(vcpu);
}

// One store: a guest never reads half of it.
void StolenTime::write(GuestMemory& memory, unsigned vcpu, u64 ticks) const {
  const u64 nanoseconds = ticks / hz_ * kNanosecondsPerSecond + ticks % hz_ * kNanosecondsPerSecond / hz_;
  static_cast<void>(memory.store(record(vcpu) + kTimeOffset, sizeof nanoseconds, nanoseconds));
}

}  // namespace hv
