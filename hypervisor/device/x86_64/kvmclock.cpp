#include "hypervisor/device/x86_64/kvmclock.hpp"

#include <cstddef>

namespace hv {
namespace {

struct SystemTime {
  u32 version = 0;
  u32 reserved = 0;
  u64 tsc = 0;
  u64 nanoseconds = 0;
  u32 multiplier = 0;
  std::int8_t shift = 0;
  u8 flags = 0;
  u8 reserved2[2] = {};
};
static_assert(sizeof(SystemTime) == 32);
constexpr u8 kStable = 1 << 0;

struct WallClock {
  u32 version = 0;
  u32 seconds = 0;
  u32 nanoseconds = 0;
};
static_assert(sizeof(WallClock) == 12);

struct StealTime {
  u64 nanoseconds = 0;
  u32 version = 0;
  u32 flags = 0;
  u8 preempted = 0;
  u8 reserved[3] = {};
  u32 reserved2[11] = {};
};
static_assert(sizeof(StealTime) == 64);

/// Writes `record`, whose version is the word at `version_offset`. A guest's processors see the stores in this order,
/// because those of the host do.
template <class Record>
Result<void> publish(GuestMemory& memory, Gpa address, Record record, usize version_offset) {
  u32 version = 0;
  if (!memory.contains({address, sizeof record})) return fail(Error::OutOfRange);
  TRY(memory.read(address + version_offset, std::as_writable_bytes(std::span(&version, 1))));
  version |= 1;
  const auto write_version = [&] {
    return memory.write(address + version_offset, std::as_bytes(std::span(&version, 1)));
  };
  TRY(write_version());
  record.version = version;
  TRY(memory.write(address, std::as_bytes(std::span(&record, 1))));
  ++version;
  return write_version();
}

}  // namespace

Result<void> write_system_time(GuestMemory& memory, Gpa record, u64 tsc, u64 nanoseconds, ClockScale scale) {
  const SystemTime time{
      .tsc = tsc, .nanoseconds = nanoseconds, .multiplier = scale.multiplier, .shift = scale.shift, .flags = kStable};
  return publish(memory, record, time, offsetof(SystemTime, version));
}

Result<void> write_wall_clock(GuestMemory& memory, Gpa record, u64 nanoseconds) {
  const WallClock clock{.seconds = static_cast<u32>(nanoseconds / kNanosecondsPerSecond),
                        .nanoseconds = static_cast<u32>(nanoseconds % kNanosecondsPerSecond)};
  return publish(memory, record, clock, offsetof(WallClock, version));
}

Result<void> write_steal_time(GuestMemory& memory, Gpa record, u64 nanoseconds, bool preempted) {
  const StealTime time{.nanoseconds = nanoseconds, .preempted = preempted};
  return publish(memory, record, time, offsetof(StealTime, version));
}

}  // namespace hv
