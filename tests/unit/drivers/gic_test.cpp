#include "kernel/drivers/gic.hpp"

#include <arch/cpu.hpp>
#include <arch/sysreg.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

constexpr u64 kDistributor = 0x800'0000;
constexpr u64 kCpuInterface = 0x801'0000;
constexpr u64 kTyper32Lines = 0x1;  // 64 interrupts

// ---- version 2 ----

class GicV2Test : public ::testing::Test {
 protected:
  GicV2Test() {
    bus.values[kDistributor + 0x4] = kTyper32Lines;
    bus.on_read[kDistributor + 0x800] = [] { return 0x0101'0101u << arch::fake::current_cpu; };
    gic.attach({.version = 2, .distributor = {Hpa(kDistributor), 0x1000}, .cpu_interface = {Hpa(kCpuInterface), 0x2000}}, cpus);
  }
  ~GicV2Test() override { arch::fake::current_cpu = 0; }

  test::FakeBus bus;
  std::array<CpuInfo, 4> cpus{};
  Gic gic;
};

TEST_F(GicV2Test, HandsTheSendersNumberBackWithAnSgi) {
  bus.values[kCpuInterface + 0xc] = 0x0c03;  // SGI 3 from CPU 3
  const AcknowledgedInterrupt interrupt = gic.acknowledge();
  EXPECT_EQ(interrupt.id, 3u);
  gic.end_of_interrupt(interrupt.token);
  gic.deactivate(interrupt.token);
  EXPECT_THAT(bus.written(kCpuInterface + 0x10), ElementsAre(0x0c03));
  EXPECT_THAT(bus.written(kCpuInterface + 0x1000), ElementsAre(0x0c03));
}

TEST_F(GicV2Test, FindsTheRegistersOfAnInterfaceWhosePagesAreSpread) {
  Gic spread;
  spread.attach({.version = 2, .distributor = {Hpa(kDistributor), 0x1000}, .cpu_interface = {Hpa(kCpuInterface), 128_KiB}}, cpus);
  spread.end_of_interrupt(3);
  spread.deactivate(3);
  EXPECT_THAT(bus.written(kCpuInterface + 0xf010), ElementsAre(3));
  EXPECT_THAT(bus.written(kCpuInterface + 0x1'0000), ElementsAre(3));
}

TEST_F(GicV2Test, KnowsSpuriousInterrupts) {
  bus.values[kCpuInterface + 0xc] = 1023;
  EXPECT_TRUE(gic.acknowledge().spurious());
  bus.values[kCpuInterface + 0xc] = 1019;
  EXPECT_FALSE(gic.acknowledge().spurious());
}

TEST_F(GicV2Test, SendsInterruptsAndRoutesByTheTargetsItFound) {
  gic.init_distributor();
  arch::fake::current_cpu = 2;
  ASSERT_TRUE(gic.init_cpu(2));
  gic.send_ipi(2, 5);
  EXPECT_THAT(bus.written(kDistributor + 0xf00), ElementsAre(0x0004'0005));
  gic.route(40, 2);
  EXPECT_THAT(bus.writes, Contains(test::Access{kDistributor + 0x800 + 40, 1, 4}));
}

TEST_F(GicV2Test, SeparatesPriorityDropFromDeactivation) {
  gic.init_distributor();
  ASSERT_TRUE(gic.init_cpu(0));
  EXPECT_THAT(bus.written(kCpuInterface), ElementsAre(0x201));
}

TEST_F(GicV2Test, TouchesExistingInterruptsOnly) {
  gic.init_distributor();
  EXPECT_EQ(gic.interrupt_count(), 64u);
  EXPECT_THAT(bus.writes, Contains(test::Access{kDistributor + 0x180 + 4, 4, 0xffff'ffff}));
  EXPECT_TRUE(bus.written(kDistributor + 0x180 + 8).empty());
  EXPECT_TRUE(bus.written(kDistributor + 0x180).empty()) << "private interrupts belong to init_cpu()";
}

TEST_F(GicV2Test, ChangesTheTriggerOfOneInterrupt) {
  bus.values[kDistributor + 0xc00 + 8] = 0xaaaa'aaaa;
  gic.set_trigger(33, Trigger::Level);
  EXPECT_EQ(bus.values[kDistributor + 0xc00 + 8], 0xaaaa'aaa2);
  gic.set_trigger(33, Trigger::Edge);
  EXPECT_EQ(bus.values[kDistributor + 0xc00 + 8], 0xaaaa'aaaa);
}

TEST_F(GicV2Test, ClearsPendingThroughTheClearRegister) {
  gic.set_pending(33, false);
  EXPECT_THAT(bus.writes, ElementsAre(test::Access{kDistributor + 0x284, 4, 2}));
}

// ---- version 3 ----

constexpr u64 kRegion0 = 0x80a'0000, kRegion1 = 0x90a'0000;

class GicV3Test : public ::testing::Test {
 protected:
  GicV3Test() {
    arch::fake::registers.clear();
    arch::fake::registers["icc_sre_el2"] = 0;
    bus.values[kDistributor + 0x4] = kTyper32Lines;
    add_region(kRegion0, 0x4'0000);
    add_region(kRegion1, 0x8'0000);
    describe(kRegion0, 0, false);
    describe(kRegion0 + 0x2'0000, 1, true);
    describe(kRegion1, 0x100, true);
    cpus[1].hardware_id = 1;
    cpus[2].hardware_id = 0x3'0001'0113;
  }
  ~GicV3Test() override { arch::fake::current_cpu = 0; }

  void add_region(u64 base, u64 size) { ASSERT_TRUE(info.redistributors.push_back({Hpa(base), size})); }
  /// A redistributor of the CPU with packed affinity `affinity`.
  void describe(u64 base, u64 affinity, bool last, bool virtual_lpis = false) {
    bus.values[base + 8] = affinity << 32 | u64{last} << 4 | u64{virtual_lpis} << 1;
  }
  void run_as(unsigned index, u64 mpidr) {
    arch::fake::current_cpu = index;
    arch::fake::registers["mpidr_el1"] = mpidr;
  }
  void attach() { gic.attach(info, cpus); }

  test::FakeBus bus;
  GicInfo info{.version = 3, .distributor = {Hpa(kDistributor), 0x1'0000}};
  std::array<CpuInfo, 4> cpus{};
  Gic gic;
};

TEST_F(GicV3Test, FindsTheRedistributorInWhateverRegionItIs) {
  attach();
  run_as(0, 0x8000'0100);
  ASSERT_TRUE(gic.init_cpu(0));
  EXPECT_FALSE(bus.written(kRegion1 + 0x1'0100).empty());
  EXPECT_TRUE(bus.written(kRegion0 + 0x1'0100).empty());
}

TEST_F(GicV3Test, SaysWhenACpuHasNoRedistributor) {
  attach();
  run_as(0, 7);
  EXPECT_EQ(gic.init_cpu(0).error(), Error::NotFound);
}

TEST_F(GicV3Test, SkipsTheVirtualLpiFramesOfAGicV4) {
  describe(kRegion0, 0, false, true);
  bus.values[kRegion0 + 0x2'0000 + 8] = u64{9} << 32;  // not a redistributor's first frame
  info.redistributors.clear();
  add_region(kRegion0, 0x8'0000);
  describe(kRegion0 + 0x4'0000, 9, true, true);
  attach();
  run_as(0, 9);
  ASSERT_TRUE(gic.init_cpu(0));
  EXPECT_FALSE(bus.written(kRegion0 + 0x5'0100).empty());
}

TEST_F(GicV3Test, FollowsTheStrideOfTheDeviceTree) {
  info.redistributors.clear();
  add_region(kRegion0, 0x10'0000);
  info.redistributor_stride = 0x8'0000;
  describe(kRegion0 + 0x8'0000, 4, true);
  attach();
  run_as(0, 4);
  EXPECT_TRUE(gic.init_cpu(0));
}

TEST_F(GicV3Test, WakesTheRedistributorAndWaitsForIt) {
  attach();
  run_as(0, 1);
  const u64 waker = kRegion0 + 0x2'0014;
  int reads = 0;
  bus.on_read[waker] = [&]() -> u64 { return ++reads < 4 ? 6 : 0; };
  ASSERT_TRUE(gic.init_cpu(0));
  EXPECT_THAT(bus.written(waker), ElementsAre(4));
  EXPECT_EQ(reads, 4);
}

TEST_F(GicV3Test, EnablesAffinityRoutingBeforeItRoutes) {
  attach();
  run_as(0, 0x8000'0001);
  gic.init_distributor();
  EXPECT_THAT(bus.written(kDistributor), ElementsAre(0, 0x13));
  EXPECT_THAT(bus.written(kDistributor + 0x6000 + 32 * 8), ElementsAre(1));
  const auto enable = std::find(bus.writes.begin(), bus.writes.end(), test::Access{kDistributor, 4, 0x13});
  EXPECT_GT(bus.first_write(kDistributor + 0x6000 + 32 * 8), static_cast<usize>(enable - bus.writes.begin()));
}

TEST_F(GicV3Test, AddressesEveryCpuByAffinity) {
  attach();
  arch::fake::Recording recording;
  gic.send_ipi(2, 4);
  // Aff3 = 3, Aff2 = 1, Aff1 = 1, Aff0 = 0x13: range 1, bit 3.
  EXPECT_THAT(recording.events(), ElementsAre("dsb ishst", "msr icc_sgi1r_el1 0x3100104010008", "isb"));
  gic.route(40, 2);
  EXPECT_THAT(bus.writes, Contains(test::Access{kDistributor + 0x6000 + 40 * 8, 8, 0x3'0001'0113}));
}

TEST_F(GicV3Test, KeepsPrivateInterruptsInTheRedistributor) {
  attach();
  run_as(1, 1);
  ASSERT_TRUE(gic.init_cpu(1));
  bus.writes.clear();
  gic.enable(26);
  gic.enable(33);
  EXPECT_THAT(bus.writes, ElementsAre(test::Access{kRegion0 + 0x3'0100, 4, 1u << 26}, test::Access{kDistributor + 0x104, 4, 2}));
}

TEST_F(GicV3Test, DropsPriorityAndDeactivatesSeparately) {
  attach();
  run_as(1, 1);
  ASSERT_TRUE(gic.init_cpu(1));
  EXPECT_EQ(arch::fake::registers["icc_ctlr_el1"], 2u);
  arch::fake::registers["icc_iar1_el1"] = 27;
  const AcknowledgedInterrupt interrupt = gic.acknowledge();
  arch::fake::Recording recording;
  gic.end_of_interrupt(interrupt.token);
  EXPECT_THAT(recording.events(), ElementsAre("msr icc_eoir1_el1 0x1b", "isb"));
  recording.clear();
  gic.deactivate(interrupt.token);
  EXPECT_THAT(recording.events(), ElementsAre("msr icc_dir_el1 0x1b", "isb"));
}

TEST_F(GicV3Test, KeepsTheHostsInterruptsInGroup0) {
  attach();
  run_as(1, 1);
  EXPECT_FALSE(gic.can_use_group0());
  bus.values[kDistributor] = 0x53;  // DS
  EXPECT_TRUE(gic.can_use_group0());
  gic.use_group0();
  ASSERT_TRUE(gic.init_cpu(1));
  EXPECT_EQ(arch::fake::registers["icc_igrpen0_el1"], 1u);
  bus.values[kRegion0 + 0x3'0080] = ~0u;
  bus.values[kDistributor + 0x84] = ~0u;
  gic.move_to_group0(26);
  gic.move_to_group0(33);
  EXPECT_THAT(bus.written(kRegion0 + 0x3'0080), ElementsAre(~0u, ~(1u << 26)));
  EXPECT_THAT(bus.written(kDistributor + 0x84), ElementsAre(~2u));
  EXPECT_THAT(bus.writes, Contains(test::Access{kDistributor + 0x400 + 33, 1, 0}));
  arch::fake::Recording recording;
  gic.send_ipi(2, 4);
  gic.send_guest_sgi(2, 4);
  EXPECT_THAT(recording.events(), ElementsAre("dsb ishst", "msr icc_sgi0r_el1 0x3100104010008", "isb", "dsb ishst",
                                              "msr icc_sgi1r_el1 0x3100104010008", "isb"));
}

TEST_F(GicV3Test, EndsGroup0AsTheLoadedGuestHasChosen) {
  attach();
  arch::fake::registers["icc_ctlr_el1"] = 2;
  arch::fake::Recording recording;
  gic.end_group0(26);
  EXPECT_THAT(recording.events(), ElementsAre("msr icc_eoir0_el1 0x1a", "msr icc_dir_el1 0x1a", "isb"));
  recording.clear();
  arch::fake::registers["icc_ctlr_el1"] = 0;
  gic.end_group0(26);
  EXPECT_THAT(recording.events(), ElementsAre("msr icc_eoir0_el1 0x1a", "isb")) << "deactivated together with it";
}

}  // namespace
}  // namespace ax::drivers
