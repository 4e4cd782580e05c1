#include "hypervisor/vm/life_cycle.hpp"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

namespace hv {
namespace {

using S = VmState;
using E = VmEvent;

/// A VM that has been brought into `state`.
LifeCycle in(S state) {
  static const std::map<S, std::vector<E>> kWays = {
      {S::Created, {}},
      {S::Loading, {E::Load}},
      {S::Running, {E::Load, E::Loaded}},
      {S::Paused, {E::Load, E::Loaded, E::Pause}},
      {S::Stopping, {E::Load, E::Loaded, E::Stop}},
      {S::Stopped, {E::Load, E::Loaded, E::Stop, E::AtRest}},
  };
  LifeCycle life;
  for (const E event : kWays.at(state)) EXPECT_TRUE(life.apply(event));
  EXPECT_EQ(life.state(), state);
  return life;
}

TEST(LifeCycle, AllowsTheseTransitionsAndNoOther) {
  const std::map<std::pair<S, E>, S> allowed = {
      {{S::Created, E::Load}, S::Loading},   {{S::Stopped, E::Load}, S::Loading},   {{S::Loading, E::Loaded}, S::Running},
      {{S::Loading, E::Failed}, S::Stopped}, {{S::Running, E::Pause}, S::Paused},   {{S::Running, E::Stop}, S::Stopping},
      {{S::Paused, E::Resume}, S::Running},  {{S::Paused, E::Stop}, S::Stopping},   {{S::Stopping, E::AtRest}, S::Stopped},
  };
  for (usize state = 0; state < kVmStates; ++state) {
    for (usize event = 0; event < kVmEvents; ++event) {
      const auto from = static_cast<S>(state);
      LifeCycle life = in(from);
      const auto result = life.apply(static_cast<E>(event));
      const auto to = allowed.find({from, static_cast<E>(event)});
      ASSERT_EQ(result.has_value(), to != allowed.end()) << describe(from) << ", event " << event;
      EXPECT_EQ(life.state(), to != allowed.end() ? to->second : from);
      EXPECT_TRUE(result || result.error() == Error::BadState);
    }
  }
}

TEST(LifeCycle, IsActiveWhileVcpusMayHoldHardware) {
  for (const S state : {S::Loading, S::Running, S::Paused, S::Stopping}) EXPECT_TRUE(in(state).is_active()) << describe(state);
  for (const S state : {S::Created, S::Stopped}) EXPECT_FALSE(in(state).is_active()) << describe(state);
}

TEST(RestartBackoff, DoublesTheDelayUpToALimit) {
  RestartBackoff backoff;
  const std::vector<u64> expected = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600};
  for (const u64 delay : expected) EXPECT_EQ(backoff.after_crash(5), delay);
}

TEST(RestartBackoff, GivesUpAVmThatOnlyCrashes) {
  RestartBackoff backoff;
  for (u32 i = 0; i < RestartBackoff::kMostCrashes; ++i) ASSERT_TRUE(backoff.after_crash(5));
  EXPECT_FALSE(backoff.after_crash(5));
  EXPECT_FALSE(backoff.after_crash(RestartBackoff::kStableMs - 1));
}

TEST(RestartBackoff, ForgetsCrashesOfAVmThatHasBeenStable) {
  RestartBackoff backoff;
  for (int i = 0; i < 5; ++i) backoff.after_crash(5);
  EXPECT_EQ(backoff.after_crash(RestartBackoff::kStableMs), 0u);
  EXPECT_EQ(backoff.after_crash(5), RestartBackoff::kFirstDelayMs);
}

TEST(RestartBackoff, StartsAgainFromTheBeginningAfterAStartByHand) {
  RestartBackoff backoff;
  for (int i = 0; i < 5; ++i) backoff.after_crash(5);
  backoff.forget();
  EXPECT_EQ(backoff.after_crash(5), 0u);
}

TEST(RestartBackoff, HoldsBackResetsThatComeAtOnceButNeverGivesThemUp) {
  RestartBackoff backoff;
  EXPECT_EQ(backoff.after_reset(RestartBackoff::kQuickResetMs), 0u);
  EXPECT_EQ(backoff.after_reset(RestartBackoff::kQuickResetMs), 0u) << "a guest that restarts now and then is not punished";
  u64 delay = 0;
  for (int i = 0; i < 1000; ++i) delay = backoff.after_reset(1);
  EXPECT_EQ(delay, RestartBackoff::kLongestDelayMs);
}

}  // namespace
}  // namespace hv
