// Registers of the vGIC as a guest reads and writes them.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/device/vgic_machine.hpp"

namespace hv {
namespace {

class VgicRegisters : public testing::TestWithParam<VgicConfig> {
 protected:
  VgicMachine machine{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Versions, VgicRegisters, testing::Values(gicv2(), gicv3()),
                         [](const auto& param_info) { return param_info.param.version == 2 ? "GicV2" : "GicV3"; });

TEST(VgicConfig, AcceptsTheLimitsAndNothingBeyond) {
  EXPECT_TRUE(gicv2(8).check());
  EXPECT_EQ(gicv2(9).check().error(), Error::OutOfRange);
  EXPECT_TRUE(gicv3(16, 16).check());
  EXPECT_EQ(gicv3(0).check().error(), Error::OutOfRange);
  EXPECT_EQ(gicv3(1, 17).check().error(), Error::OutOfRange);
  VgicConfig config = gicv3();
  config.spi_count = kMaxSpis;
  EXPECT_TRUE(config.check());
  config.spi_count = 33;
  EXPECT_EQ(config.check().error(), Error::OutOfRange);
  config = gicv3();
  config.affinity[1] = config.affinity[0];
  EXPECT_EQ(config.check().error(), Error::AlreadyExists);
  config.version = 4;
  EXPECT_EQ(config.check().error(), Error::NotSupported);
}

TEST_P(VgicRegisters, ReservedOffsetsReadAsZeroAndIgnoreWrites) {
  for (const u64 offset : {0x00cu, 0x07cu, 0xd00u, 0xdfcu, 0xf04u, 0xf30u}) {
    machine.write(offset, ~0u);
    EXPECT_EQ(machine.read(offset), 0u) << offset;
  }
}

TEST_P(VgicRegisters, WidthsThatARegisterDoesNotHaveReadAsZero) {
  machine.enable_distributor();
  EXPECT_EQ(machine.read(gicd::kCtlr, 1), 0u);
  EXPECT_EQ(machine.read(gicd::kCtlr, 8), 0u);
  EXPECT_EQ(machine.read(gicd::kIpriorityr + 32, 2), 0u);
  machine.write(gicd::kIsenabler + 4, 0xff, 1);
  EXPECT_EQ(machine.read(gicd::kIsenabler + 4), 0u);
}

TEST_P(VgicRegisters, MisalignedAccessesReadAsZero) { EXPECT_EQ(machine.read(gicd::kTyper + 1, 4), 0u); }

TEST_P(VgicRegisters, EnableBitsAreSetAndClearedByOnes) {
  machine.write(gicd::kIsenabler + 4, 0xff00'00ff);
  machine.write(gicd::kIcenabler + 4, 0x0f);
  EXPECT_EQ(machine.read(gicd::kIsenabler + 4), 0xff00'00f0u);
  EXPECT_EQ(machine.read(gicd::kIcenabler + 4), 0xff00'00f0u);
}

TEST_P(VgicRegisters, InterruptsBeyondTheConfiguredOnesDoNotExist) {
  for (const u64 base : {gicd::kIgroupr, gicd::kIsenabler, gicd::kIspendr, gicd::kIsactiver}) {
    machine.write(base + 12, ~0u);
    EXPECT_EQ(machine.read(base + 12), 0u) << base;
  }
  machine.write(gicd::kIpriorityr + 96, 0xf8, 1);
  EXPECT_EQ(machine.read(gicd::kIpriorityr + 96, 1), 0u);
  machine.write(gicd::kIcfgr + 24, ~0u);
  EXPECT_EQ(machine.read(gicd::kIcfgr + 24), 0u);
}

TEST(VgicRegistersAtTheLimit, LastFourNumbersAreNotInterrupts) {
  VgicConfig config = gicv3();
  config.spi_count = kMaxSpis;
  VgicMachine machine(config);
  machine.write(gicd::kIsenabler + 31 * 4, ~0u);
  EXPECT_EQ(machine.read(gicd::kIsenabler + 31 * 4), 0x0fff'ffffu);
  EXPECT_EQ(machine.read(gicd::kTyper) & 0x1f, 31u);
  machine.write(gicd::kIrouter + 1019 * 8, 1, 8);
  EXPECT_EQ(machine.read(gicd::kIrouter + 1019 * 8, 8), 1u);
}

TEST_P(VgicRegisters, PrioritiesAreByteAccessibleAndKeepImplementedBits) {
  machine.write(gicd::kIpriorityr + 40, 0xff, 1);
  machine.write(gicd::kIpriorityr + 41, 0x47, 1);
  EXPECT_EQ(machine.read(gicd::kIpriorityr + 40), 0x40f8u);
  EXPECT_EQ(machine.read(gicd::kIpriorityr + 41, 1), 0x40u);
  machine.write(gicd::kIpriorityr + 40, 0x8090'a0b0);
  EXPECT_EQ(machine.read(gicd::kIpriorityr + 42, 1), 0x90u);
}

TEST_P(VgicRegisters, ConfigurationOfSpisIsWritableAndOfSgisFixed) {
  machine.write(gicd::kIcfgr + 8, 0xffff'ffff);
  EXPECT_EQ(machine.read(gicd::kIcfgr + 8), 0xaaaa'aaaau) << "the lower bit of each field is reserved";
  machine.write_private(0, gicd::kIcfgr, 0);
  EXPECT_EQ(machine.read_private(0, gicd::kIcfgr), 0xaaaa'aaaau);
}

TEST_P(VgicRegisters, ConfigurationOfAHardwareBackedPpiStaysLevel) {
  machine.write_private(0, gicd::kIcfgr + 4, 0xffff'ffff);
  EXPECT_EQ(machine.read_private(0, gicd::kIcfgr + 4) >> (27 - 16) * 2 & 3, 0u);
  EXPECT_EQ(machine.read_private(0, gicd::kIcfgr + 4) >> (28 - 16) * 2 & 3, 2u);
}

TEST_P(VgicRegisters, ConfigurationOfAHardwareBackedSpiReachesTheHost) {
  ASSERT_TRUE(machine->map_hardware(0, 40, 72));
  machine.write(gicd::kIcfgr + 8, 2u << 16);
  EXPECT_TRUE(machine.configured.at(72));
  EXPECT_EQ(machine.configured.size(), 1u);
}

TEST_P(VgicRegisters, PrivateInterruptsAreBanked) {
  machine.write_private(0, gicd::kIsenabler, 1u << 20);
  machine.write_private(1, gicd::kIpriorityr + 20, 0x30, 1);
  EXPECT_EQ(machine.read_private(0, gicd::kIsenabler) >> 16, 1u << 4);
  EXPECT_EQ(machine.read_private(1, gicd::kIsenabler) >> 16, 0u);
  EXPECT_EQ(machine.read_private(0, gicd::kIpriorityr + 20, 1), 0u);
  EXPECT_EQ(machine.read_private(1, gicd::kIpriorityr + 20, 1), 0x30u);
}

TEST_P(VgicRegisters, PendingAndActiveBitsCanBeWritten) {
  machine.write(gicd::kIspendr + 4, 0x6);
  machine.write(gicd::kIcpendr + 4, 0x2);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0x4u);
  machine.write(gicd::kIsactiver + 4, 0x6);
  machine.write(gicd::kIcactiver + 4, 0x4);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0x2u);
}

TEST_P(VgicRegisters, AssertedLevelStaysPendingWhenClearedByRegister) {
  machine->set_line(0, 33, true);
  machine.write(gicd::kIcpendr + 4, 0x2);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0x2u);
  machine->set_line(0, 33, false);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0u);
}

TEST_P(VgicRegisters, EdgeStaysPendingAfterTheLineFell) {
  machine.write(gicd::kIcfgr + 8, 2u << 2);
  machine->set_line(0, 33, true);
  machine->set_line(0, 33, false);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0x2u);
  machine.write(gicd::kIcpendr + 4, 0x2);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0u);
}

TEST_P(VgicRegisters, HardwareBackedPpiShowsTheStateOfItsLine) {
  machine.line(1, 27).asserted = true;
  EXPECT_EQ(machine.read_private(1, gicd::kIspendr), 1u << 27) << "pending although the guest has not enabled it";
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 0u);
  machine.take_physical(1, 27);
  EXPECT_EQ(machine.read_private(1, gicd::kIspendr), 1u << 27);
  EXPECT_EQ(machine.read_private(1, gicd::kIsactiver), 0u) << "the guest has not acknowledged it";
  machine.line(1, 27).asserted = false;
  EXPECT_EQ(machine.read_private(1, gicd::kIspendr), 0u);
}

TEST_P(VgicRegisters, HardwareBackedPpiIsActiveWhileTheGuestServesIt) {
  machine.enable_distributor();
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.acknowledge(0), 27u);
  EXPECT_EQ(machine.read_private(0, gicd::kIsactiver), 1u << 27);
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 1u << 27) << "the line is still asserted";
  machine.line(0, 27).asserted = false;
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 0u);
  machine.end(0, 27);
  EXPECT_EQ(machine.read_private(0, gicd::kIsactiver), 0u);
}

TEST_P(VgicRegisters, ReadingTheTypeNeedsNeitherLockNorSynchronisation) {
  const MmioAccess access{gicd::kTyper, 4, 0};
  ASSERT_TRUE(VgicDistributor(machine.vgic).read_constant(access).has_value());
  EXPECT_EQ(*VgicDistributor(machine.vgic).read_constant(access), machine.read(gicd::kTyper));
  EXPECT_EQ(*VgicDistributor(machine.vgic).read_constant({gicd::kIidr, 4, 0}), machine.read(gicd::kIidr));
  EXPECT_FALSE(VgicDistributor(machine.vgic).read_constant({gicd::kCtlr, 4, 0}));
  EXPECT_FALSE(VgicDistributor(machine.vgic).read_constant({gicd::kTyper, 8, 0}));
  EXPECT_FALSE(VgicDistributor(machine.vgic).read_constant({gicd::kTyper + 1, 4, 0}));
}

TEST_P(VgicRegisters, ResetRestoresPowerOnState) {
  const VgicConfig config = GetParam();
  machine.enable_distributor();
  for (const u32 intid : {20u, 27u, 40u}) machine.enable(1, intid, 0x20);
  ASSERT_TRUE(machine->map_hardware(0, 41, 41));
  machine.write(gicd::kIcfgr + 8, ~0u);
  machine.write(gicd::kIsactiver + 4, 0x30);
  machine->set_line(0, 40, true);
  machine.line(1, 27).asserted = true;
  machine.take_physical(1, 27);
  machine.line(0, 41).asserted = true;
  machine.take_physical(0, 41);
  machine.enter(1);
  machine.reset();

  EXPECT_FALSE(machine.line(1, 27).active);
  EXPECT_FALSE(machine.line(0, 41).active);
  machine.line(1, 27).asserted = machine.line(0, 41).asserted = false;
  VgicMachine fresh(config);
  for (unsigned vcpu = 0; vcpu < 2; ++vcpu) {
    EXPECT_FALSE(machine->needs_flush(vcpu));
    EXPECT_FALSE(machine.has_deliverable(vcpu));
    EXPECT_EQ(machine->take_kicks(), 0u);
    for (u64 offset = 0; offset < 0x10000; offset += 4) {
      ASSERT_EQ(machine.read(offset, 4, vcpu), fresh.read(offset, 4, vcpu)) << std::hex << offset;
      if (config.version == 2) continue;
      ASSERT_EQ(machine->read_redistributor(vcpu, {offset, 4, 0}), fresh->read_redistributor(vcpu, {offset, 4, 0}));
      ASSERT_EQ(machine.read_private(vcpu, offset), fresh.read_private(vcpu, offset)) << std::hex << offset;
    }
  }
}

TEST_P(VgicRegisters, SurviveRandomAccesses) {
  std::mt19937_64 random(7);
  for (unsigned i = 0; i < 200'000; ++i) {
    const unsigned vcpu = machine.current = static_cast<unsigned>(random() % 2);
    const u32 size = 1u << random() % 4;
    const MmioAccess access{random() % 0x10000 / size * size, size, vcpu};
    const MmioAccess sgi_frame{random() % VgicRedistributors::kStride / size * size, size, vcpu};
    const u64 value = size == 8 ? random() : random() & ((u64{1} << size * 8) - 1);
    machine->write_distributor(access, value);
    ASSERT_EQ(size == 8 ? 0 : machine->read_distributor(access) >> size * 8, 0u) << "more bits than asked for";
    if (GetParam().version == 3) {
      machine->write_redistributor(1 - vcpu, sgi_frame, value);
      (void)machine->read_redistributor(1 - vcpu, sgi_frame);
    }
    if (i % 16 == 0) {
      machine->set_line(vcpu, 16 + random() % 100, (value & 1) != 0);
      machine.enter(vcpu);
    }
    if (HasFailure()) FAIL() << "access " << i << " at " << access.offset;
  }
}

// ---- GICv2 ----

TEST(VgicV2Registers, TyperCountsInterruptLinesAndCpus) {
  EXPECT_EQ(VgicMachine(gicv2(2)).read(gicd::kTyper), 2u | 1u << 5);
  EXPECT_EQ(VgicMachine(gicv2(8)).read(gicd::kTyper), 2u | 7u << 5);
}

TEST(VgicV2Registers, IdentifiesArchitectureVersion2AtTheEndOf4KiB) {
  VgicMachine machine(gicv2());
  EXPECT_EQ(machine.read(0xfe8) >> 4 & 0xf, 2u);
  EXPECT_EQ(machine.read(0xffe8), 0u);
}

TEST(VgicV2Registers, ControlKeepsBothEnableBits) {
  VgicMachine machine(gicv2());
  machine.write(gicd::kCtlr, ~0u);
  EXPECT_EQ(machine.read(gicd::kCtlr), 3u);
}

TEST(VgicV2Registers, PrivateTargetsReadAsTheReadersBit) {
  VgicMachine machine(gicv2(4));
  machine.write(gicd::kItargetsr, 0xffff'ffff, 4, 2);
  EXPECT_EQ(machine.read(gicd::kItargetsr, 4, 2), 0x0404'0404u);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 31, 1, 3), 0x08u);
}

TEST(VgicV2Registers, SpiTargetsAreByteAccessible) {
  VgicMachine machine(gicv2(4));
  machine.write(gicd::kItargetsr + 33, 0x05, 1);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 32), 0x0500u);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 33, 1), 0x05u);
  machine.write(gicd::kItargetsr + 32, 0xff02'0408);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 32), 0x0f02'0408u) << "bits of CPUs that do not exist are reserved";
}

TEST(VgicV2Registers, SpiTargetsOfASingleCpuAreFixed) {
  VgicMachine machine(gicv2(1));
  machine.write(gicd::kItargetsr + 32, 0);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 32), 0x0101'0101u);
  machine.enable_distributor();
  machine.write(gicd::kIsenabler + 4, 1);
  machine->set_line(0, 32, true);
  EXPECT_TRUE(machine.has_deliverable(0));
}

TEST(VgicV2Registers, SgisAreAlwaysEnabled) {
  VgicMachine machine(gicv2());
  machine.write(gicd::kIcenabler, 0xffff);
  EXPECT_EQ(machine.read(gicd::kIsenabler), 0xffffu);
}

TEST(VgicV2Registers, PendingBitsOfSgisIgnoreWrites) {
  VgicMachine machine(gicv2());
  machine.write(gicd::kIspendr, 0xffff);
  EXPECT_EQ(machine.read(gicd::kIspendr), 0u);
  machine.write(gicd::kSgir, 0x0001'0003);
  machine.write(gicd::kIcpendr, 0xffff);
  EXPECT_EQ(machine.read(gicd::kIspendr), 1u << 3);
}

TEST(VgicV2Registers, SgiPendingRegistersShowAndChangeSources) {
  VgicMachine machine(gicv2(4));
  machine.write(gicd::kSgir, 0x0002'0005, 4, 0);  // CPU 0 -> CPU 1, SGI 5
  machine.write(gicd::kSgir, 0x0002'0005, 4, 3);  // CPU 3 -> CPU 1
  EXPECT_EQ(machine.read(gicd::kSpendsgir + 5, 1, 1), 0x09u);
  EXPECT_EQ(machine.read(gicd::kCpendsgir + 4, 4, 1), 0x0900u);
  EXPECT_EQ(machine.read(gicd::kSpendsgir + 5, 1, 0), 0u) << "banked";
  machine.write(gicd::kCpendsgir + 5, 0x01, 1, 1);
  EXPECT_EQ(machine.read(gicd::kSpendsgir + 5, 1, 1), 0x08u);
  EXPECT_EQ(machine.read(gicd::kIspendr, 4, 1), 1u << 5);
  machine.write(gicd::kCpendsgir + 4, 0xff00, 4, 1);
  EXPECT_EQ(machine.read(gicd::kIspendr, 4, 1), 0u);
  machine.write(gicd::kSpendsgir + 7, 0xf4, 1, 1);
  EXPECT_EQ(machine.read(gicd::kSpendsgir + 7, 1, 1), 0x04u) << "sources that do not exist are reserved";
}

TEST(VgicV2Registers, SgiFiltersSelectTheirTargets) {
  VgicMachine machine(gicv2(4));
  const auto receivers = [&](u64 value) {
    machine.write(gicd::kSgir, value, 4, 1);
    u32 set = 0;
    for (unsigned i = 0; i < 4; ++i) {
      if (machine.read(gicd::kSpendsgir, 1, i) != 0) set |= 1u << i;
      machine.write(gicd::kCpendsgir, 0xff, 1, i);
    }
    return set;
  };
  EXPECT_EQ(receivers(0x000d'0000), 0x0du);
  EXPECT_EQ(receivers(0x00f0'0000), 0x00u);
  EXPECT_EQ(receivers(0x01ff'0000), 0x0du) << "all but the sender";
  EXPECT_EQ(receivers(0x02ff'0000), 0x02u) << "the sender only";
  EXPECT_EQ(receivers(0x03ff'0000), 0x00u) << "reserved";
}

// ---- GICv3 ----

TEST(VgicV3Registers, ControlShowsOneSecurityStateWithAffinityRouting) {
  VgicMachine machine(gicv3());
  EXPECT_EQ(machine.read(gicd::kCtlr), 0x50u);
  machine.write(gicd::kCtlr, ~0u);
  EXPECT_EQ(machine.read(gicd::kCtlr), 0x53u);
  machine.write(gicd::kCtlr, 0);
  EXPECT_EQ(machine.read(gicd::kCtlr), 0x50u);
}

TEST(VgicV3Registers, TyperHasTenIdBitsAndNoLpis) {
  const u64 typer = VgicMachine(gicv3()).read(gicd::kTyper);
  EXPECT_EQ(typer & 0x1f, 2u);
  EXPECT_EQ(typer >> 19 & 0x1f, 9u);
  EXPECT_EQ(typer >> 17 & 1, 0u) << "LPIS";
  EXPECT_EQ(typer >> 10 & 1, 0u) << "SecurityExtn";
  EXPECT_EQ(typer >> 25 & 1, 1u) << "No1N";
}

TEST(VgicV3Registers, IdentifiesArchitectureVersion3AtTheEndOf64KiB) {
  VgicMachine machine(gicv3());
  EXPECT_EQ(machine.read(0xffe8) >> 4 & 0xf, 3u);
  EXPECT_EQ(machine->read_redistributor(0, {0xffe8, 4, 0}) >> 4 & 0xf, 3u);
}

TEST(VgicV3Registers, DistributorHasNoPrivateInterrupts) {
  VgicMachine machine(gicv3());
  machine.write(gicd::kIsenabler, ~0u);
  machine.write(gicd::kIpriorityr, ~0u);
  machine.write(gicd::kSgir, 0x0001'0003);
  machine.write(gicd::kItargetsr + 32, ~0u);
  EXPECT_EQ(machine.read(gicd::kIsenabler), 0u);
  EXPECT_EQ(machine.read(gicd::kIpriorityr), 0u);
  EXPECT_EQ(machine.read(gicd::kItargetsr + 32), 0u);
  EXPECT_EQ(machine.read_private(0, gicd::kIsenabler), 0u);
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 0u);
}

TEST(VgicV3Registers, RouterIsAccessibleWholeAndInHalves) {
  VgicMachine machine(gicv3());
  const u64 router = gicd::kIrouter + 33 * 8;
  machine.write(router, 0xffff'ffff'ffff'ffff, 8);
  EXPECT_EQ(machine.read(router, 8), 0x00ff'00ff'ffffu) << "IRM and the rest are reserved";
  machine.write(router, 0x0001'0203, 4);
  EXPECT_EQ(machine.read(router, 8), 0x00ff'0001'0203u);
  machine.write(router + 4, 0x04, 4);
  EXPECT_EQ(machine.read(router + 4, 4), 0x04u);
  EXPECT_EQ(machine.read(gicd::kIrouter + 31 * 8, 8), 0u);
}

TEST(VgicV3Registers, RedistributorTypeNamesCpuAffinityAndTheEndOfARegion) {
  VgicConfig config = gicv3(4);
  config.affinity[2] = 0x0403'0201;
  config.last_of_region = 1u << 1;
  VgicMachine machine(config);
  const auto typer = [&](unsigned i) { return machine->read_redistributor(i, {0x8, 8, 0}); };
  EXPECT_EQ(typer(0), 0x0u);
  EXPECT_EQ(typer(1), 0x1'0000'0110u);
  EXPECT_EQ(typer(2), 0x0403'0201'0000'0200u);
  EXPECT_EQ(typer(3), 0x3'0000'0310u);
  EXPECT_EQ(machine->read_redistributor(2, {0xc, 4, 0}), 0x0403'0201u);
}

TEST(VgicV3Registers, RedistributorWakesAtOnce) {
  VgicMachine machine(gicv3());
  EXPECT_EQ(machine->read_redistributor(0, {0x14, 4, 0}), 0x6u);
  machine->write_redistributor(0, {0x14, 4, 0}, 0);
  EXPECT_EQ(machine->read_redistributor(0, {0x14, 4, 0}), 0u);
  EXPECT_EQ(machine->read_redistributor(1, {0x14, 4, 0}), 0x6u);
}

TEST(VgicV3Registers, LpiRegistersAreReserved) {
  VgicMachine machine(gicv3());
  for (const u64 offset : {0x0u, 0x10u, 0x70u, 0x78u, 0xa0u}) {
    machine->write_redistributor(0, {offset, 4, 0}, ~0u);
    EXPECT_EQ(machine->read_redistributor(0, {offset, 4, 0}), 0u);
    EXPECT_EQ(machine->read_redistributor(0, {offset, 8, 0}), 0u);
  }
}

TEST(VgicV3Registers, AnotherCpusRedistributorIsAccessible) {
  VgicMachine machine(gicv3());
  machine.write_private(1, gicd::kIsenabler, 1u << 3, 4, 0);
  EXPECT_EQ(machine.read_private(1, gicd::kIsenabler, 4, 1), 1u << 3);
}

TEST(VgicV3Registers, NothingAnswersBehindTheLastRedistributor) {
  VgicMachine machine(gicv3(2));
  VgicRedistributors region(machine.vgic);
  EXPECT_TRUE(region.read({VgicRedistributors::kStride + 0x8, 8, 0}));
  EXPECT_FALSE(region.read({2 * VgicRedistributors::kStride, 4, 0}));
  EXPECT_FALSE(region.write({2 * VgicRedistributors::kStride, 4, 0}, 0));
}

TEST(VgicV3Registers, SecondRegionStartsWithItsFirstVcpu) {
  VgicMachine machine(gicv3(4));
  VgicRedistributors region(machine.vgic, 2);
  EXPECT_EQ(*region.read({0xc, 4, 0}), 2u);
  EXPECT_EQ(*region.read({VgicRedistributors::kStride + 0xc, 4, 0}), 3u);
  EXPECT_FALSE(region.read({2 * VgicRedistributors::kStride, 4, 0}));
}

}  // namespace
}  // namespace hv
