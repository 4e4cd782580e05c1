#include "hypervisor/vcpu/aarch64/psci.hpp"

#include <array>
#include <initializer_list>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace hv {
namespace {

constexpr u64 kNotSupported = 0xffff'ffff'ffff'ffff;
constexpr u64 kInvalidParameters = 0xffff'ffff'ffff'fffe;
constexpr u64 kAlreadyOn = 0xffff'ffff'ffff'fffc;
constexpr u64 kOnPending = 0xffff'ffff'ffff'fffb;
constexpr u64 kInvalidAddress = 0xffff'ffff'ffff'fff7;

constexpr u64 kCpuSuspend32 = 0x8400'0001;
constexpr u64 kCpuOff = 0x8400'0002;
constexpr u64 kCpuOn32 = 0x8400'0003;
constexpr u64 kCpuOn64 = 0xc400'0003;
constexpr u64 kAffinityInfo32 = 0x8400'0004;
constexpr u64 kAffinityInfo64 = 0xc400'0004;
constexpr u64 kFeatures = 0x8400'000a;
constexpr u64 kEntry = 0x4020'0000;

using Functions = std::initializer_list<u64>;

struct Start {
  unsigned vcpu;
  u64 entry;
  u64 context;
  bool operator==(const Start&) const = default;
};

/// Two clusters of two vCPUs; the first vCPU runs. RAM from 1 GiB to 2 GiB, and from 8 GiB to 9 GiB.
class FakeVm final : public PsciHost {
 public:
  unsigned vcpu_count() override { return 4; }
  u64 mpidr_of(unsigned vcpu) override { return kMpidr[vcpu]; }
  PsciPower power_of(unsigned vcpu) override { return power[vcpu]; }
  bool start(unsigned vcpu, Gpa entry, u64 context) override {
    if (overtaken_by) {
      power[vcpu] = *overtaken_by;
      return false;
    }
    starts.push_back({vcpu, entry.value(), context});
    power[vcpu] = PsciPower::OnPending;
    return true;
  }
  bool is_ram(Gpa address) override {
    return address.value() >> 30 == 1 || address.value() >> 30 == 8;
  }

  u64 exits() override { return 17; }
  bool has_stolen_time() override { return stolen_time_at.has_value(); }
  Gpa stolen_time() override { return Gpa(*stolen_time_at); }

  static constexpr std::array<u64, 4> kMpidr = {0x000, 0x001, 0x100, 0x1'0000'0101};
  std::array<PsciPower, 4> power = {PsciPower::On, PsciPower::Off, PsciPower::Off, PsciPower::Off};
  std::optional<PsciPower> overtaken_by;
  std::vector<Start> starts;
  std::optional<u64> stolen_time_at;
};

class Psci : public testing::Test {
 protected:
  PsciResult call(u64 function, u64 x1 = 0, u64 x2 = 0, u64 x3 = 0) {
    const std::array<u64, 4> x = {function, x1, x2, x3};
    return psci_call(vm, x);
  }
  u64 answer(u64 function, u64 x1 = 0, u64 x2 = 0, u64 x3 = 0) {
    const PsciResult result = call(function, x1, x2, x3);
    EXPECT_EQ(result.action, PsciAction::Resume);
    return result.x0;
  }
  FakeVm vm;
};

TEST_F(Psci, IsVersion11) { EXPECT_EQ(answer(0x8400'0000), 0x0001'0001u); }

TEST_F(Psci, FunctionIdentifierIsTheLowHalfOfX0) {
  EXPECT_EQ(answer(0xdead'beef'8400'0000), 0x0001'0001u);
  EXPECT_EQ(answer(0xffff'ffff'8400'0006), 2u);
}

TEST_F(Psci, CpuOnStartsTheTargetWithEntryAndContext) {
  EXPECT_EQ(answer(kCpuOn64, 0x1'0000'0101, 0x2'0000'1000, 0xfeed'face'cafe'f00d), 0u);
  EXPECT_EQ(vm.starts, (std::vector<Start>{{3, 0x2'0000'1000, 0xfeed'face'cafe'f00d}}));
}

TEST_F(Psci, CpuOn32IgnoresUpperHalves) {
  EXPECT_EQ(answer(kCpuOn32, 0xffff'ffff'0000'0001, 0x1111'1111'4020'0000, 0x2222'2222'9abc'def0), 0u);
  EXPECT_EQ(vm.starts, (std::vector<Start>{{1, 0x4020'0000, 0x9abc'def0}}));
}

TEST_F(Psci, CpuOnRejectsAffinityOfNobody) {
  EXPECT_EQ(answer(kCpuOn64, 0x2, kEntry), kInvalidParameters);
  EXPECT_EQ(answer(kCpuOn64, 0x101, kEntry), kInvalidParameters);  // vCPU 3 has an Aff3 as well
  EXPECT_TRUE(vm.starts.empty());
}

TEST_F(Psci, CpuOnRejectsBitsOutsideTheAffinity) {
  EXPECT_EQ(answer(kCpuOn64, 0x8000'0001, kEntry), kInvalidParameters);
  EXPECT_EQ(answer(kCpuOn32, 0x8000'0001, kEntry), kInvalidParameters);
  EXPECT_EQ(answer(kCpuOn64, 0x0100'0001, kEntry), kInvalidParameters);
  EXPECT_EQ(answer(kCpuOn64, 0x100'0000'0001, kEntry), kInvalidParameters);
  EXPECT_TRUE(vm.starts.empty());
}

TEST_F(Psci, CpuOnOfRunningCpuIsAlreadyOn) {
  EXPECT_EQ(answer(kCpuOn64, 0x0, kEntry), kAlreadyOn);
  EXPECT_EQ(answer(kCpuOn64, 0x0, 0), kAlreadyOn);
}

TEST_F(Psci, CpuOnOfStartingCpuIsPending) {
  EXPECT_EQ(answer(kCpuOn64, 0x1, kEntry), 0u);
  EXPECT_EQ(answer(kCpuOn64, 0x1, kEntry), kOnPending);
  EXPECT_EQ(vm.starts.size(), 1u);
}

TEST_F(Psci, CpuOnRejectsEntryOutsideRam) {
  EXPECT_EQ(answer(kCpuOn64, 0x1, 0x0900'0000), kInvalidAddress);
  EXPECT_TRUE(vm.starts.empty());
}

TEST_F(Psci, LosingTheRaceForATargetReportsTheWinner) {
  vm.overtaken_by = PsciPower::OnPending;
  EXPECT_EQ(answer(kCpuOn64, 0x1, kEntry), kOnPending);
}

TEST_F(Psci, LosingTheRaceForATargetThatRunsAlready) {
  vm.overtaken_by = PsciPower::On;
  EXPECT_EQ(answer(kCpuOn64, 0x1, kEntry), kAlreadyOn);
}

TEST_F(Psci, LosingTheRaceForATargetThatIsOffAgain) {
  vm.overtaken_by = PsciPower::Off;
  EXPECT_EQ(answer(kCpuOn64, 0x1, kEntry), kAlreadyOn);
}

TEST_F(Psci, AffinityInfoTellsTheStateOfOneCpu) {
  vm.power[2] = PsciPower::OnPending;
  EXPECT_EQ(answer(kAffinityInfo64, 0x000), 0u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x001), 1u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x100), 2u);
  EXPECT_EQ(answer(kAffinityInfo32, 0xffff'ffff'0000'0100, 0xffff'ffff'0000'0000), 2u);
}

TEST_F(Psci, AffinityInfoOfAClusterIsThatOfItsMostAwakeCpu) {
  EXPECT_EQ(answer(kAffinityInfo64, 0x0ff, 1), 0u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x100, 1), 1u);
  vm.power[2] = PsciPower::OnPending;
  EXPECT_EQ(answer(kAffinityInfo64, 0x100, 1), 2u);
  vm.power[0] = PsciPower::Off;
  vm.power[1] = PsciPower::OnPending;
  EXPECT_EQ(answer(kAffinityInfo64, 0x000, 1), 2u);
}

TEST_F(Psci, AffinityInfoCoversHigherLevels) {
  EXPECT_EQ(answer(kAffinityInfo64, 0x0'0000'0000, 2), 0u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x1'0000'0000, 2), 1u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x1'00ff'ffff, 3), 1u);
  EXPECT_EQ(answer(kAffinityInfo64, 0x0'0001'0000, 2), kInvalidParameters);
}

TEST_F(Psci, AffinityInfoRejectsUnknownAffinityAndLevel) {
  EXPECT_EQ(answer(kAffinityInfo64, 0x002), kInvalidParameters);
  EXPECT_EQ(answer(kAffinityInfo64, 0x8000'0000), kInvalidParameters);
  EXPECT_EQ(answer(kAffinityInfo64, 0x000, 4), kInvalidParameters);
  EXPECT_EQ(answer(kAffinityInfo64, 0x000, 0x1'0000'0000), kInvalidParameters);
}

TEST_F(Psci, CpuOffStopsTheCaller) {
  EXPECT_EQ(call(kCpuOff).action, PsciAction::PowerOffSelf);
  EXPECT_EQ(answer(0xc400'0002), kNotSupported);
}

TEST_F(Psci, StandbyWaitsForAnInterrupt) {
  EXPECT_EQ(call(kCpuSuspend32, 0x0000'1234), (PsciResult{PsciAction::Suspend, 0}));
}

TEST_F(Psci, PowerDownIsAnsweredWithStandby) {
  EXPECT_EQ(call(0xc400'0001, 0x0101'0000, kEntry), (PsciResult{PsciAction::Suspend, 0}));
}

TEST_F(Psci, PowerDownNeedsAnEntryInRam) {
  EXPECT_EQ(answer(0xc400'0001, 0x0001'0000, 0x1000), kInvalidAddress);
}

TEST_F(Psci, SuspendRejectsReservedStateBits) {
  EXPECT_EQ(answer(kCpuSuspend32, 0x0002'0000), kInvalidParameters);
  EXPECT_EQ(answer(kCpuSuspend32, 0x8000'0000), kInvalidParameters);
}

TEST_F(Psci, EndsTheSystem) {
  EXPECT_EQ(call(0x8400'0008).action, PsciAction::SystemOff);
  EXPECT_EQ(call(0x8400'0009).action, PsciAction::SystemReset);
}

TEST_F(Psci, WarmResetIsTheOnlyKindOfReset2) {
  EXPECT_EQ(call(0x8400'0012, 0).action, PsciAction::SystemReset);
  EXPECT_EQ(call(0xc400'0012, 0xffff'ffff'0000'0000).action, PsciAction::SystemReset);
  EXPECT_EQ(answer(0xc400'0012, 1), kInvalidParameters);
  EXPECT_EQ(answer(0xc400'0012, 0x8000'0000), kInvalidParameters);
}

TEST_F(Psci, HasNoTrustedOsToMigrate) {
  EXPECT_EQ(answer(0x8400'0006), 2u);
  EXPECT_EQ(answer(0x8400'0005), kNotSupported);
  EXPECT_EQ(answer(0xc400'0007), kNotSupported);
}

TEST_F(Psci, FeaturesNamesWhatIsAnswered) {
  for (const u64 function : Functions{0x8400'0000, 0x8400'0001, 0x8400'0002, 0x8400'0003, 0x8400'0004, 0x8400'0006,
                                      0x8400'0008, 0x8400'0009, 0x8400'000a, 0x8400'0012, 0x8000'0000, 0xc400'0001,
                                      0xc400'0003, 0xc400'0004, 0xc400'0012}) {
    EXPECT_EQ(answer(kFeatures, function), 0u) << std::hex << function;
  }
}

TEST_F(Psci, FeaturesDeniesEverythingElse) {
  for (const u64 function : Functions{0x8400'0005, 0x8400'0007, 0x8400'000b, 0x8400'000e, 0x8400'0013, 0xc400'0000,
                                      0xc400'0002, 0xc400'0008, 0x8000'0001, 0x0400'0003, 0x0000'0000}) {
    EXPECT_EQ(answer(kFeatures, function), kNotSupported) << std::hex << function;
  }
}

TEST_F(Psci, CallingConventionIsVersion11) {
  EXPECT_EQ(answer(0x8000'0000), 0x0001'0001u);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'0000), 0u);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'0001), 0u);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'8000), kNotSupported);  // SMCCC_ARCH_WORKAROUND_1
}

// Arm DEN 0057 3.2: discovered through SMCCC_ARCH_FEATURES, then PV_TIME_FEATURES; PV_TIME_ST gives the caller's record.
TEST_F(Psci, StolenTimeIsFoundAsTheSpecificationSays) {
  constexpr u64 kPvTimeFeatures = 0xc500'0020, kPvTimeStolen = 0xc500'0021;
  EXPECT_EQ(answer(0x8000'0001, kPvTimeFeatures), kNotSupported);
  EXPECT_EQ(answer(kPvTimeFeatures, kPvTimeStolen), kNotSupported);
  EXPECT_EQ(answer(kPvTimeStolen), kNotSupported);
  vm.stolen_time_at = 0x4800'0040;
  EXPECT_EQ(answer(0x8000'0001, kPvTimeFeatures), 0u);
  EXPECT_EQ(answer(kPvTimeFeatures, kPvTimeFeatures), 0u);
  EXPECT_EQ(answer(kPvTimeFeatures, kPvTimeStolen), 0u);
  EXPECT_EQ(answer(kPvTimeFeatures, 0xc500'0022), kNotSupported);
  EXPECT_EQ(answer(kPvTimeStolen), 0x4800'0040u);
}

TEST_F(Psci, UnknownFunctionsAreNotSupported) {
  for (const u64 function : Functions{0x0000'0000, 0x8400'0005, 0x8400'0013, 0x8400'001f, 0x8400'ffff, 0x8600'0000,
                                      0xc400'0000, 0xc400'0008, 0x0400'0008, 0xffff'ffff}) {
    EXPECT_EQ(answer(function), kNotSupported) << std::hex << function;
  }
}

}  // namespace

TEST(PsciOwners, WhatIsAnsweredAtOnceIsWhatNobodyServes) {
  for (u32 owner = 0; owner < 64; ++owner) {
    const bool serves = owner == 0 || owner == 4 || owner == 5 || owner == 6;
    EXPECT_EQ(psci::is_served(0x8000'0000 | owner << 24), serves) << owner;
    EXPECT_EQ(psci::is_served(0xc000'ffff | owner << 24), serves) << owner;
  }
}

}  // namespace hv
