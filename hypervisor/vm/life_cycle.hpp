// The life of a virtual machine: its states, what leads from one to the next, and how soon one that keeps failing runs again.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

enum class VmState : u8 {
  Created,  ///< configured and never started: it has no memory
  Loading,  ///< memory, images, devices and tables are being made
  Running,
  Paused,    ///< every vCPU is out of its guest and stays out; its time stands still
  Stopping,  ///< its vCPUs were told to give up the hardware
  Stopped,   ///< nothing of it runs; it may be loaded again
};
inline constexpr usize kVmStates = static_cast<usize>(VmState::Stopped) + 1;

enum class VmEvent : u8 {
  Load,    ///< somebody wants it to run
  Loaded,  ///< it could be made, and its first vCPU starts
  Failed,  ///< it could not be made
  Pause,
  Resume,
  Stop,    ///< somebody, the guest or a crash ends it
  AtRest,  ///< every vCPU has given up the hardware
};
inline constexpr usize kVmEvents = static_cast<usize>(VmEvent::AtRest) + 1;

constexpr std::string_view describe(VmState state) {
  constexpr std::string_view texts[] = {"created", "loading", "running", "paused", "stopping", "stopped"};
  return texts[static_cast<usize>(state)];
}

/// One VM's place in its life. Not locked: for the manager's thread.
class LifeCycle {
 public:
  constexpr VmState state() const { return state_; }
  /// There is a guest whose vCPUs may hold hardware.
  constexpr bool is_active() const { return state_ != VmState::Created && state_ != VmState::Stopped; }

  /// Error: BadState (the event makes no sense now; nothing has changed).
  constexpr Result<void> apply(VmEvent event) {
    const u8 next = kNext[static_cast<usize>(state_)][static_cast<usize>(event)];
    if (next == kForbidden) return fail(Error::BadState);
    state_ = static_cast<VmState>(next);
    return {};
  }

 private:
  static constexpr u8 kForbidden = 0xff;
  static constexpr auto kNext = [] {
    std::array<std::array<u8, kVmEvents>, kVmStates> table{};
    for (auto& row : table) row.fill(kForbidden);
    const auto allow = [&](VmState from, VmEvent event, VmState to) {
      table[static_cast<usize>(from)][static_cast<usize>(event)] = static_cast<u8>(to);
    };
    allow(VmState::Created, VmEvent::Load, VmState::Loading);
    allow(VmState::Stopped, VmEvent::Load, VmState::Loading);
    allow(VmState::Loading, VmEvent::Loaded, VmState::Running);
    allow(VmState::Loading, VmEvent::Failed, VmState::Stopped);
    allow(VmState::Running, VmEvent::Pause, VmState::Paused);
    allow(VmState::Running, VmEvent::Stop, VmState::Stopping);
    allow(VmState::Paused, VmEvent::Resume, VmState::Running);
    allow(VmState::Paused, VmEvent::Stop, VmState::Stopping);
    allow(VmState::Stopping, VmEvent::AtRest, VmState::Stopped);
    return table;
  }();

  VmState state_ = VmState::Created;
};

/// How long a VM waits before it runs again by itself, so that one that fails at once does not keep its CPU busy with loading.
/// The first restart comes at once, the second after kFirstDelayMs, every further one after twice as long. Times are
/// milliseconds.
class RestartBackoff {
 public:
  static constexpr u64 kFirstDelayMs = 100;
  static constexpr u64 kLongestDelayMs = 30'000;
  /// A VM that has run for so long before it crashed starts from the beginning.
  static constexpr u64 kStableMs = 60'000;
  /// The same for a guest that resets itself, which is what guests do.
  static constexpr u64 kQuickResetMs = 1'000;
  /// After so many crashes in a row it is given up.
  static constexpr u32 kMostCrashes = 10;

  /// It has crashed after running for `ran`. Nothing: it is given up.
  constexpr std::optional<u64> after_crash(u64 ran) {
    if (ran >= kStableMs) failures_ = 0;
    if (failures_ == kMostCrashes) return std::nullopt;
    return next();
  }
  constexpr u64 after_reset(u64 ran) {
    if (ran >= kQuickResetMs) failures_ = 0;
    return next();
  }
  /// Somebody has started it by hand.
  constexpr void forget() { failures_ = 0; }
  constexpr u32 failures() const { return failures_; }

 private:
  constexpr u64 next() {
    constexpr u32 kEnough = 32;  // doublings that surely reach the longest delay
    if (failures_ < kEnough) ++failures_;
    if (failures_ == 1) return 0;
    const u64 delay = kFirstDelayMs << (failures_ - 2);
    return delay < kLongestDelayMs ? delay : kLongestDelayMs;
  }

  u32 failures_ = 0;  ///< restarts in a row
};

}  // namespace hv
