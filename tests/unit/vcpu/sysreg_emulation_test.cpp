#include "hypervisor/vcpu/aarch64/sysreg_emulation.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace hv {
namespace {

using Kind = SystemRegisterOutcome::Kind;

constexpr SystemRegisterOutcome kUndefined{Kind::Undefined, 0};
constexpr SystemRegisterOutcome kDone{Kind::Done, 0};
constexpr SystemRegisterOutcome value(u64 v) { return {Kind::Value, v}; }

struct Sgi {
  unsigned vcpu;
  SgiRegister which;
  u64 value;
  bool operator==(const Sgi&) const = default;
};

class FakeTimer final : public PhysicalTimer {
 public:
  u64 control() override { return control_; }
  u64 compare() override { return compare_; }
  u64 counter() override { return now; }
  void set(u64 control, u64 compare) override {
    control_ = control;
    compare_ = compare;
  }
  u64 now = 1000;

 private:
  u64 control_ = 0;
  u64 compare_ = 0;
};

class FakeCore final : public SystemRegisterHost {
 public:
  u64 read_host_id_register(u32) override { return ~u64{0}; }
  u8 gic_version() override { return gic; }
  void send_sgi(unsigned vcpu, SgiRegister which, u64 v) override { sgis.push_back({vcpu, which, v}); }
  void deactivate(unsigned vcpu, u32 intid) override { deactivated.emplace_back(vcpu, intid); }
  PhysicalTimer& physical_timer(unsigned vcpu) override { return timers[vcpu]; }
  DebugRegisters& debug_registers(unsigned vcpu) override { return debug[vcpu]; }

  u8 gic = 3;
  std::vector<Sgi> sgis;
  std::vector<std::pair<unsigned, u32>> deactivated;
  std::array<FakeTimer, 2> timers;
  std::array<DebugRegisters, 2> debug;
};

struct Name {
  u32 op0, op1, crn, crm, op2;
};

/// The syndrome of an access through x1. Arm ARM, ESR_EL2, EC 0x18.
constexpr SystemRegisterAccess access(Name r, bool read) {
  return SystemRegisterAccess(0x6200'0000 | r.op0 << 20 | r.op2 << 17 | r.op1 << 14 | r.crn << 10 | 1 << 5 |
                              r.crm << 1 | u32{read});
}

class SystemRegisters : public testing::Test {
 protected:
  SystemRegisterOutcome read(Name r, unsigned vcpu = 0) {
    return emulate_system_register({vcpu, core}, access(r, true), 0);
  }
  SystemRegisterOutcome write(Name r, u64 v, unsigned vcpu = 0) {
    return emulate_system_register({vcpu, core}, access(r, false), v);
  }
  FakeCore core;
};

constexpr Name kMdscr{2, 0, 0, 2, 2}, kOslar{2, 0, 1, 0, 4}, kOslsr{2, 0, 1, 1, 4};
constexpr Name kClaimSet{2, 0, 7, 8, 6}, kClaimClear{2, 0, 7, 9, 6};
constexpr Name kSgi1r{3, 0, 12, 11, 5}, kAsgi1r{3, 0, 12, 11, 6}, kSgi0r{3, 0, 12, 11, 7};
constexpr Name kDir{3, 0, 12, 11, 1}, kSre{3, 0, 12, 12, 5};
constexpr Name kTval{3, 3, 14, 2, 0}, kCtl{3, 3, 14, 2, 1}, kCval{3, 3, 14, 2, 2};

TEST_F(SystemRegisters, ReadOfIdRegisterGoesThroughTheAllowList) {
  EXPECT_EQ(read({3, 0, 0, 4, 1}), value(0x21));            // ID_AA64PFR1_EL1
  EXPECT_EQ(read({3, 0, 0, 1, 1}), value(0x1001'0000));     // ID_PFR1_EL1
  core.gic = 2;
  EXPECT_EQ(read({3, 0, 0, 1, 1}), value(0x0001'0000));
}

TEST_F(SystemRegisters, ThePhysicalCounterShowsTheVmsTime) {
  EXPECT_EQ(read({3, 3, 14, 0, 1}), value(1000));
  EXPECT_EQ(write({3, 3, 14, 0, 1}, 0), kUndefined);
}

TEST_F(SystemRegisters, ReservedIdRegisterReadsAsZero) { EXPECT_EQ(read({3, 0, 0, 7, 7}), value(0)); }

TEST_F(SystemRegisters, WriteToIdRegisterIsUndefined) { EXPECT_EQ(write({3, 0, 0, 4, 0}, 0), kUndefined); }

TEST_F(SystemRegisters, OsLockIsSetAfterResetAndFollowsWrites) {
  EXPECT_EQ(read(kOslsr), value(0xa));
  EXPECT_EQ(write(kOslar, 0), kDone);
  EXPECT_EQ(read(kOslsr), value(0x8));
  EXPECT_EQ(write(kOslar, 1), kDone);
  EXPECT_EQ(read(kOslsr), value(0xa));
}

TEST_F(SystemRegisters, OsLockRegistersHaveOneDirection) {
  EXPECT_EQ(read(kOslar), kUndefined);
  EXPECT_EQ(write(kOslsr, 0), kUndefined);
}

TEST_F(SystemRegisters, DebugControlIsStoredPerVcpu) {
  EXPECT_EQ(write(kMdscr, 0xffff'ffff'0000'9001, 1), kDone);
  EXPECT_EQ(read(kMdscr, 1), value(0x9001));
  EXPECT_EQ(read(kMdscr, 0), value(0));
}

TEST_F(SystemRegisters, ClaimTagsAreSetAndCleared) {
  EXPECT_EQ(read(kClaimSet), value(0xff));
  EXPECT_EQ(write(kClaimSet, 0x1c3), kDone);
  EXPECT_EQ(read(kClaimClear), value(0xc3));
  EXPECT_EQ(write(kClaimClear, 0x1c1), kDone);
  EXPECT_EQ(read(kClaimClear), value(0x02));
}

TEST_F(SystemRegisters, AnnouncedBreakpointsAndWatchpointsIgnoreWrites) {
  for (u32 n = 0; n < 2; ++n) {
    for (u32 op2 = 4; op2 < 8; ++op2) {
      EXPECT_EQ(write({2, 0, 0, n, op2}, ~u64{0}), kDone);
      EXPECT_EQ(read({2, 0, 0, n, op2}), value(0));
    }
  }
}

TEST_F(SystemRegisters, BreakpointsBeyondTheAnnouncedAreUndefined) {
  for (u32 n = 2; n < 16; ++n) {
    for (u32 op2 = 4; op2 < 8; ++op2) EXPECT_EQ(read({2, 0, 0, n, op2}), kUndefined);
  }
}

TEST_F(SystemRegisters, OtherDebugRegistersReadAsZero) {
  for (const Name r : {Name{2, 0, 0, 2, 0}, {2, 0, 0, 0, 2}, {2, 0, 0, 3, 2}, {2, 0, 0, 6, 2}, {2, 0, 1, 0, 0},
                       {2, 0, 1, 3, 4}, {2, 0, 1, 4, 4}, {2, 0, 7, 14, 6}, {2, 3, 0, 1, 0}, {2, 3, 0, 4, 0},
                       {2, 3, 0, 5, 0}}) {
    EXPECT_EQ(read(r), value(0)) << r.op1 << ' ' << r.crn << ' ' << r.crm << ' ' << r.op2;
  }
}

TEST_F(SystemRegisters, ReadOnlyDebugRegistersRejectWrites) {
  for (const Name r : {Name{2, 0, 1, 0, 0}, {2, 0, 7, 14, 6}, {2, 3, 0, 1, 0}}) EXPECT_EQ(write(r, 0), kUndefined);
}

TEST_F(SystemRegisters, SgiRegistersReachTheInterruptController) {
  EXPECT_EQ(write(kSgi1r, 0x0100'0002, 1), kDone);
  EXPECT_EQ(write(kAsgi1r, 0x0200'0001), kDone);
  EXPECT_EQ(write(kSgi0r, 0x100'0000'0003), kDone);
  EXPECT_EQ(core.sgis, (std::vector<Sgi>{{1, SgiRegister::Sgi1r, 0x0100'0002},
                                         {0, SgiRegister::Asgi1r, 0x0200'0001},
                                         {0, SgiRegister::Sgi0r, 0x100'0000'0003}}));
}

TEST_F(SystemRegisters, SgiRegistersAreWriteOnly) {
  for (const Name r : {kSgi1r, kAsgi1r, kSgi0r, kDir}) EXPECT_EQ(read(r), kUndefined);
}

TEST_F(SystemRegisters, DeactivationNamesTheInterrupt) {
  EXPECT_EQ(write(kDir, 0xffff'ffff'ff00'001b, 1), kDone);
  EXPECT_EQ(core.deactivated, (std::vector<std::pair<unsigned, u32>>{{1, 27}}));
}

TEST_F(SystemRegisters, SystemRegisterInterfaceCannotBeTurnedOff) {
  EXPECT_EQ(write(kSre, 0), kDone);
  EXPECT_EQ(read(kSre), value(7));
}

TEST_F(SystemRegisters, GuestWithGicV2HasNoCpuInterfaceRegisters) {
  core.gic = 2;
  for (const Name r : {kSgi1r, kAsgi1r, kSgi0r, kDir, kSre}) EXPECT_EQ(write(r, 0), kUndefined);
  EXPECT_EQ(read(kSre), kUndefined);
  EXPECT_TRUE(core.sgis.empty());
  EXPECT_TRUE(core.deactivated.empty());
}

TEST_F(SystemRegisters, TimerStatusShowsThatTheCompareValueWasReached) {
  EXPECT_EQ(write(kCval, 1001), kDone);
  EXPECT_EQ(write(kCtl, 1), kDone);
  EXPECT_EQ(read(kCtl), value(0x1));
  core.timers[0].now = 1001;
  EXPECT_EQ(read(kCtl), value(0x5));
}

TEST_F(SystemRegisters, MaskedTimerStillShowsItsStatus) {
  write(kCtl, 3);
  EXPECT_EQ(read(kCtl), value(0x7));
}

TEST_F(SystemRegisters, DisabledTimerHasNoStatus) {
  write(kCtl, 0xffff'ffff'ffff'fffe);  // ISTATUS and reserved bits are not writable
  EXPECT_EQ(read(kCtl), value(0x2));
  EXPECT_EQ(core.timers[0].control(), 2u);
}

TEST_F(SystemRegisters, TimerRegistersLeaveEachOtherAlone) {
  write(kCval, 5000, 1);
  write(kCtl, 1, 1);
  EXPECT_EQ(read(kCval, 1), value(5000));
  write(kCval, 6000, 1);
  EXPECT_EQ(read(kCtl, 1), value(1));
  EXPECT_EQ(read(kCval, 0), value(0));
}

TEST_F(SystemRegisters, TimerValueIsTheSignedDistance) {
  write(kTval, 24);
  EXPECT_EQ(read(kCval), value(1024));
  EXPECT_EQ(read(kTval), value(24));
  core.timers[0].now = 1025;
  EXPECT_EQ(read(kTval), value(0xffff'ffff));
}

TEST_F(SystemRegisters, NegativeTimerValueLiesInThePast) {
  write(kTval, 0x1234'5678'ffff'fffe);
  EXPECT_EQ(read(kCval), value(998));
}

TEST_F(SystemRegisters, AuxiliaryControlReadsAsZero) {
  EXPECT_EQ(write({3, 0, 1, 0, 1}, 0x40), kDone);
  EXPECT_EQ(read({3, 0, 1, 0, 1}), value(0));
}

TEST_F(SystemRegisters, CacheMaintenanceBySetAndWayCoversEverything) {
  for (const u32 crm : {6u, 10u, 14u}) EXPECT_EQ(write({1, 0, 7, crm, 2}, 0x1234).kind, Kind::CleanInvalidateAll);
}

TEST_F(SystemRegisters, RegistersOfHiddenFeaturesAreUndefined) {
  for (const Name r : {Name{3, 3, 9, 12, 0} /* PMCR_EL0 */, {3, 3, 9, 13, 0} /* PMCCNTR_EL0 */,
                       {3, 0, 9, 9, 0} /* PMSCR_EL1 */, {2, 1, 0, 0, 0} /* trace */, {3, 3, 13, 2, 0} /* AMCR_EL0 */,
                       {3, 0, 2, 1, 0} /* APIAKEYLO_EL1 */, {3, 0, 10, 4, 0} /* LORSA_EL1 */,
                       {3, 0, 5, 3, 0} /* ERRIDR_EL1 */, {3, 0, 1, 2, 0} /* ZCR_EL1 */, {3, 0, 1, 0, 6} /* GCR_EL1 */,
                       {3, 1, 0, 0, 4} /* GMID_EL1 */, {3, 0, 13, 0, 7} /* SCXTNUM_EL1 */,
                       {3, 4, 1, 1, 0} /* HCR_EL2 */, {1, 0, 7, 10, 4} /* DC CGSW */,
                       {3, 0, 11, 0, 0} /* implementation defined */, {3, 1, 15, 2, 0}}) {
    EXPECT_EQ(read(r), kUndefined) << r.op0 << ' ' << r.op1 << ' ' << r.crn << ' ' << r.crm << ' ' << r.op2;
    EXPECT_EQ(write(r, 0), kUndefined) << r.op0 << ' ' << r.op1 << ' ' << r.crn << ' ' << r.crm << ' ' << r.op2;
  }
}

}  // namespace
}  // namespace hv
