// What reaches a vCPU through the list registers, and what becomes of it.
#include <gtest/gtest.h>

#include "tests/unit/device/vgic_machine.hpp"

namespace hv {
namespace {

class VgicDelivery : public testing::TestWithParam<VgicConfig> {
 protected:
  VgicDelivery() { machine.enable_distributor(); }
  VgicMachine machine{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Versions, VgicDelivery, testing::Values(gicv2(), gicv3()),
                         [](const auto& param_info) { return param_info.param.version == 2 ? "GicV2" : "GicV3"; });

TEST_P(VgicDelivery, NothingPendingNeedsNoFlush) {
  machine.enter(0);
  machine.enter(1);
  const unsigned flushes = machine.flushes;
  machine.enter(0);
  EXPECT_EQ(machine.flushes, flushes);
  EXPECT_EQ(machine.cpus[0].set.count, 0u);
  EXPECT_EQ(machine.cpus[0].set.control, virtual_control::kEnable);
}

TEST_P(VgicDelivery, EnabledLevelInterruptIsDeliveredUntilItsLineFalls) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.serve(0), 33u);
  EXPECT_EQ(machine.serve(0), 33u) << "the device still asserts its line";
  machine->set_line(0, 33, false);
  EXPECT_EQ(machine.serve(0), kSpurious);
}

TEST_P(VgicDelivery, LineThatFallsDuringServiceNeedsNoMaintenanceInterrupt) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  machine->set_line(0, 33, false);
  machine.enter(0);
  machine.end(0, 33);
  EXPECT_EQ(machine.maintenance_interrupts, 0u);
  EXPECT_EQ(machine.serve(0), kSpurious);
}

TEST_P(VgicDelivery, LineThatFallsBeforeAcknowledgeWithdrawsTheInterrupt) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  machine.enter(0);
  ASSERT_EQ(machine.highest_pending(0), 33u);
  machine->set_line(0, 33, false);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
}

TEST_P(VgicDelivery, EdgeInterruptIsDeliveredOncePerEdge) {
  machine.write(gicd::kIcfgr + 8, 2u << 2);
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.serve(0), 33u);
  EXPECT_EQ(machine.serve(0), kSpurious);
  machine->set_line(0, 33, false);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.serve(0), 33u);
}

TEST_P(VgicDelivery, EdgeDuringServiceIsDeliveredAfterTheEnd) {
  machine.write(gicd::kIcfgr + 8, 2u << 2);
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  machine->set_line(0, 33, false);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.acknowledge(0), kSpurious) << "still active";
  machine.end(0, 33);
  EXPECT_EQ(machine.serve(0), 33u);
  EXPECT_EQ(machine.serve(0), kSpurious);
}

TEST_P(VgicDelivery, NothingIsForwardedToAGuestThatGetsNoInterrupts) {
  VgicConfig config = GetParam();
  config.forwards = false;
  VgicMachine silent(config);
  silent.enable_distributor();
  silent.enable(0, 33);
  silent.enable(0, 27);
  silent->set_line(0, 33, true);
  silent.write(gicd::kIspendr + 4, 1u << 2);
  EXPECT_EQ(silent.serve(0), kSpurious);
  EXPECT_FALSE(silent->has_deliverable(0));
  EXPECT_NE(silent.read(gicd::kCtlr) & 3, 0u) << "the guest sees what it wrote";
  EXPECT_NE(silent.read(gicd::kIspendr + 4) & 2, 0u);
}

TEST_P(VgicDelivery, DisabledInterruptWaitsUntilItIsEnabled) {
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.serve(0), kSpurious);
  EXPECT_FALSE(machine.has_deliverable(0));
  machine.enable(0, 33);
  EXPECT_TRUE(machine.has_deliverable(0));
  EXPECT_EQ(machine.serve(0), 33u);
}

TEST_P(VgicDelivery, DisablingWithdrawsAnInterruptFromTheListRegisters) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  machine.enter(0);
  machine.write(gicd::kIcenabler + 4, 2);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 2u);
}

TEST_P(VgicDelivery, DisabledGroupHoldsInterruptsBack) {
  machine.enable(0, 33);
  machine.write(gicd::kIgroupr + 4, 2);
  machine.write(gicd::kCtlr, 1);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.serve(0), kSpurious);
  machine.write(gicd::kCtlr, 2);
  machine.enter(0);
  ASSERT_EQ(machine.cpus[0].set.count, 1u);
  EXPECT_TRUE(machine.cpus[0].set.entries[0].group1());
  EXPECT_EQ(machine.serve(0), 33u);
  machine.write(gicd::kIgroupr + 4, 0);
  EXPECT_EQ(machine.serve(0), kSpurious) << "now in group 0, which is off";
}

TEST_P(VgicDelivery, BetterPriorityIsServedFirst) {
  machine.enable(0, 33, 0x80);
  machine.enable(0, 34, 0x40);
  machine.enable(0, 20, 0x60);
  for (const u32 intid : {33u, 34u, 20u}) machine->set_line(0, intid, true);
  EXPECT_EQ(machine.acknowledge(0), 34u);
  EXPECT_EQ(machine.acknowledge(0), kSpurious) << "20 does not preempt 34";
  machine->set_line(0, 34, false);
  machine.end(0, 34);
  EXPECT_EQ(machine.acknowledge(0), 20u);
}

TEST_P(VgicDelivery, SoftwareCanMakeALevelInterruptPendingOnce) {
  machine.enable(0, 33);
  machine.write(gicd::kIspendr + 4, 2);
  EXPECT_EQ(machine.serve(0), 33u);
  EXPECT_EQ(machine.serve(0), kSpurious);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0u);
}

TEST_P(VgicDelivery, UnacknowledgedSoftwarePendingSurvivesAnExit) {
  machine.enable(0, 33);
  machine.write(gicd::kIspendr + 4, 2);
  machine.enter(0);
  machine.exit(0);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 2u);
  EXPECT_EQ(machine.serve(0), 33u);
}

TEST_P(VgicDelivery, ReadingPendingStateOfLoadedInterruptsSynchronisesTheReader) {
  machine.enable(0, 33);
  machine.write(gicd::kIspendr + 4, 2);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 0u);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 2u);
  EXPECT_EQ(machine.synchronizations, 1u);
}

TEST_P(VgicDelivery, ClearedPendingBitOfALoadedInterruptIsNotDelivered) {
  machine.enable(0, 33);
  machine.write(gicd::kIspendr + 4, 2);
  machine.enter(0);
  machine.write(gicd::kIcpendr + 4, 2);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
}

TEST_P(VgicDelivery, AnotherVcpuWithdrawsAPendingInterruptThatIsLoaded) {
  machine.enable(1, 33);
  machine.write(gicd::kIspendr + 4, 2, 4, 1);
  machine.enter(1);
  (void)machine->take_kicks();
  machine.write(gicd::kIcpendr + 4, 2, 4, 0);
  EXPECT_EQ(machine->take_kicks(), 2u);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4, 4, 0), 0u);
  EXPECT_EQ(machine.acknowledge(1), kSpurious);
}

TEST_P(VgicDelivery, AnotherVcpuDeactivatesAnInterruptThatIsLoaded) {
  machine.enable(1, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(1), 33u);
  machine.write(gicd::kIcactiver + 4, 2, 4, 0);
  EXPECT_NE(machine->take_kicks() & 2, 0u);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4, 4, 0), 0u);
  machine.exit(1);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4, 4, 0), 0u);
  machine.cpus[1].running.clear();
  EXPECT_EQ(machine.acknowledge(1), 33u) << "its line is still asserted";
}

TEST_P(VgicDelivery, ReadingAnotherVcpusLoadedStateAsksItToExit) {
  machine.enable(1, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(1), 33u);
  (void)machine->take_kicks();
  (void)machine.read(gicd::kIsactiver + 4, 4, 0);
  EXPECT_EQ(machine->take_kicks(), 2u);
  machine.enter(1);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4, 4, 0), 2u);
}

TEST_P(VgicDelivery, ActiveBitBlocksUntilItIsCleared) {
  machine.enable(0, 33);
  machine.write(gicd::kIsactiver + 4, 2);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_FALSE(machine.has_deliverable(0));
  machine.write(gicd::kIcactiver + 4, 2);
  EXPECT_EQ(machine.acknowledge(0), 33u);
}

TEST_P(VgicDelivery, ActiveInterruptStaysActiveWhenDisabled) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  machine.write(gicd::kIcenabler + 4, 2);
  machine.enter(0);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 2u);
  machine.end(0, 33);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0u);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
}

TEST_P(VgicDelivery, SplitPriorityDropAndDeactivation) {
  machine.cpus[0].split_deactivation = true;
  machine.enable(0, 33);
  machine.enable(0, 34, 0x90);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  machine.end(0, 33);
  machine->set_line(0, 34, true);
  EXPECT_EQ(machine.acknowledge(0), 34u) << "worse priority, but 33 has dropped its own";
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 6u);
  machine->set_line(0, 33, false);
  machine.deactivate(0, 33);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 4u);
}

// ---- kicks and routing ----

TEST_P(VgicDelivery, DeliverableSpiKicksItsTargetOnly) {
  machine.enable(1, 33);
  (void)machine->take_kicks();
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine->take_kicks(), 2u);
  EXPECT_EQ(machine->take_kicks(), 0u);
  EXPECT_TRUE(machine->needs_flush(1));
  EXPECT_FALSE(machine->needs_flush(0));
  EXPECT_TRUE(machine.has_deliverable(1));
  EXPECT_FALSE(machine.has_deliverable(0));
}

TEST_P(VgicDelivery, UndeliverableInterruptKicksNobody) {
  (void)machine->take_kicks();
  machine->set_line(0, 33, true);
  machine->set_line(1, 20, true);
  EXPECT_EQ(machine->take_kicks(), 0u);
}

TEST_P(VgicDelivery, ReroutedPendingInterruptMovesToItsNewTarget) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  machine.enter(0);
  machine.route(1, 33);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_NE(machine->take_kicks() & 2, 0u);
  EXPECT_EQ(machine.acknowledge(1), 33u);
}

TEST_P(VgicDelivery, ReroutedActiveInterruptStaysWhereItIsActive) {
  machine.enable(0, 33);
  machine->set_line(0, 33, true);
  ASSERT_EQ(machine.acknowledge(0), 33u);
  machine.route(1, 33);
  machine.enter(0);
  EXPECT_EQ(machine.acknowledge(1), kSpurious);
  machine.end(0, 33);
  EXPECT_EQ(machine.acknowledge(1), 33u);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
}

TEST_P(VgicDelivery, InterruptWithoutTargetWaits) {
  machine.enable(0, 33);
  if (GetParam().version == 2)
    machine.write(gicd::kItargetsr + 33, 0, 1);
  else
    machine.write(gicd::kIrouter + 33 * 8, 0x77, 8);
  machine->set_line(0, 33, true);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_EQ(machine.acknowledge(1), kSpurious);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 2u);
  machine.route(1, 33);
  EXPECT_EQ(machine.acknowledge(1), 33u);
}

TEST_P(VgicDelivery, PpiIsDeliveredToItsOwnVcpu) {
  machine.enable(0, 30);
  machine.enable(1, 30);
  machine->set_line(1, 30, true);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_EQ(machine.acknowledge(1), 30u);
}

TEST_P(VgicDelivery, UnknownNumbersAreIgnored) {
  machine->set_line(0, 500, true);
  machine->set_line(0, 5, true);
  machine->hardware_interrupt(0, 500);
  machine->hardware_interrupt(0, 33);
  EXPECT_EQ(machine->take_kicks(), 0u);
  EXPECT_FALSE(machine->map_hardware(0, 500, 500));
  EXPECT_FALSE(machine->map_hardware(0, 3, 3));
  EXPECT_FALSE(machine->map_hardware(0, 33, 1020));
}

// ---- hardware-backed interrupts ----

TEST_P(VgicDelivery, TimerUsesAHardwareListRegister) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  machine.enter(0);
  ASSERT_EQ(machine.cpus[0].set.count, 1u);
  const ListRegister lr = machine.cpus[0].set.entries[0];
  EXPECT_TRUE(lr.hardware());
  EXPECT_EQ(lr.physical_id(), 27u);
  EXPECT_EQ(lr.state(), ListRegisterState::Pending);
  EXPECT_TRUE(machine->owes_deactivation(0, 27));
}

TEST_P(VgicDelivery, GuestDeactivatesTheTimerWithoutTheHost) {
  machine.enable(0, 27);
  for (unsigned tick = 0; tick < 3; ++tick) {
    machine.line(0, 27).asserted = true;
    machine.take_physical(0, 27);
    ASSERT_EQ(machine.acknowledge(0), 27u);
    machine.line(0, 27).asserted = false;
    machine.end(0, 27);
    EXPECT_FALSE(machine.line(0, 27).active);
  }
  machine.exit(0);
  EXPECT_FALSE(machine->owes_deactivation(0, 27));
  EXPECT_EQ(machine.deactivations, 0u);
  EXPECT_EQ(machine.maintenance_interrupts, 0u);
}

TEST_P(VgicDelivery, EachEndOfTheTimerIsSeenWhereHardwareCannotEndIt) {
  VgicConfig config = GetParam();
  config.can_end_by_hardware = false;
  VgicMachine seeing(config);
  seeing.enable_distributor();
  seeing.enable(0, 27);
  for (unsigned tick = 1; tick <= 3; ++tick) {
    seeing.line(0, 27).asserted = true;
    seeing.take_physical(0, 27);
    ASSERT_EQ(seeing.acknowledge(0), 27u);
    EXPECT_FALSE(seeing.cpus[0].set.entries[0].hardware());
    EXPECT_TRUE(seeing.line(0, 27).active);
    seeing.end(0, 27);
    EXPECT_FALSE(seeing.line(0, 27).active);
    EXPECT_EQ(seeing.deactivations, tick);
    EXPECT_EQ(seeing.maintenance_interrupts, tick);
  }
}

TEST_P(VgicDelivery, TimerThatFiresAgainBeforeTheListRegisterIsReadBackIsNotLost) {
  machine.short_form = false;
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.serve(0), 27u);
  machine.take_physical(0, 27);
  EXPECT_TRUE(machine.line(0, 27).active);
  EXPECT_EQ(machine.serve(0), 27u);
  EXPECT_FALSE(machine.line(0, 27).active);
}

TEST_P(VgicDelivery, SteadyTickReusesItsListRegister) {
  machine.enable(0, 27);
  for (unsigned tick = 0; tick < 5; ++tick) {
    machine.line(0, 27).asserted = true;
    machine.take_physical(0, 27);
    EXPECT_EQ(machine->needs_flush(0), tick == 0);
    machine.line(0, 27).asserted = false;
    ASSERT_EQ(machine.serve(0), 27u) << tick;
  }
  EXPECT_EQ(machine.reloads, 4u);
  EXPECT_EQ(machine.flushes, 1u);
  machine.exit(0);
  EXPECT_FALSE(machine->owes_deactivation(0, 27));
  EXPECT_EQ(machine.deactivations, 0u);
}

TEST_P(VgicDelivery, ListRegisterIsNotReusedWhenTheGuestChangedTheInterrupt) {
  machine.enable(0, 27, 0x80);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.serve(0), 27u);
  ASSERT_GE(machine->reload_slot(0, 27), 0);
  machine.write_private(0, gicd::kIpriorityr + 27, 0x20, 1);
  EXPECT_EQ(machine->reload_slot(0, 27), -1);
  machine.take_physical(0, 27);
  machine.enter(0);
  EXPECT_EQ(machine.cpus[0].set.entries[0].priority(), 0x20);
}

TEST_P(VgicDelivery, NothingIsReusedAfterTheListRegistersWereReadBack) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.serve(0), 27u);
  machine.exit(0);
  machine.line(0, 27).asserted = false;
  machine.enter(0);
  EXPECT_EQ(machine->reload_slot(0, 27), -1);
}

TEST_P(VgicDelivery, PassthroughSpiMapsToItsPhysicalNumber) {
  ASSERT_TRUE(machine->map_hardware(0, 40, 72));
  machine.enable(1, 40);
  machine.line(0, 72).asserted = true;
  machine.take_physical(0, 72, 40);
  ASSERT_EQ(machine.acknowledge(1), 40u);
  EXPECT_EQ(machine.cpus[1].set.entries[0].physical_id(), 72u);
  machine.line(0, 72).asserted = false;
  machine.end(1, 40);
  EXPECT_FALSE(machine.line(0, 72).active);
}

TEST_P(VgicDelivery, DisablingAnActiveTimerDoesNotOrphanIt) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.acknowledge(0), 27u);
  machine.write_private(0, gicd::kIcenabler, 1u << 27);
  machine.enter(0);
  machine.line(0, 27).asserted = false;
  machine.end(0, 27);
  EXPECT_FALSE(machine.line(0, 27).active);
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  EXPECT_EQ(machine.serve(0), 27u);
}

TEST_P(VgicDelivery, ClearingTheActiveBitDeactivatesThePhysicalInterrupt) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.acknowledge(0), 27u);
  machine.line(0, 27).asserted = false;
  machine.write_private(0, gicd::kIcactiver, 1u << 27);
  EXPECT_FALSE(machine.line(0, 27).active);
  EXPECT_EQ(machine.deactivations, 1u);
  machine.enter(0);
  machine.exit(0);
  EXPECT_EQ(machine.deactivations, 1u);
}

TEST_P(VgicDelivery, AnotherVcpusClearOfALoadedHardwareInterruptDeactivatesItOnce) {
  ASSERT_TRUE(machine->map_hardware(0, 40, 40));
  machine.enable(1, 40);
  machine.line(0, 40).asserted = true;
  machine.take_physical(0, 40);
  ASSERT_EQ(machine.acknowledge(1), 40u);
  machine.line(0, 40).asserted = false;
  machine.write(gicd::kIcactiver + 4, 1u << 8, 4, 0);
  machine.enter(1);
  EXPECT_FALSE(machine.line(0, 40).active);
  EXPECT_EQ(machine.deactivations, 1u);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0u);
}

TEST_P(VgicDelivery, TimerSilencedWhileDisabledIsForgottenWhenEnabled) {
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  machine.line(0, 27).asserted = false;
  machine.enable(0, 27);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_FALSE(machine.line(0, 27).active) << "it must be able to fire again";
}

TEST_P(VgicDelivery, TimerStillAssertedIsDeliveredWhenEnabled) {
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  machine.enable(0, 27);
  EXPECT_EQ(machine.serve(0), 27u);
}

TEST_P(VgicDelivery, TimerSilencedBeforeAcknowledgeIsWithdrawnAtTheNextExit) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  machine.enter(0);
  machine.line(0, 27).asserted = false;
  machine.exit(0);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_FALSE(machine.line(0, 27).active);
}

TEST_P(VgicDelivery, ClearingThePendingBitOfTheTimerLetsItFireAgain) {
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  machine.write_private(0, gicd::kIcpendr, 1u << 27);
  EXPECT_FALSE(machine.line(0, 27).active);
  machine.take_physical(0, 27);
  machine.enable(0, 27);
  EXPECT_EQ(machine.serve(0), 27u);
}

TEST_P(VgicDelivery, SoftwarePendingTimerIsDeliveredWithoutTheHardware) {
  machine.enable(0, 27);
  machine.write_private(0, gicd::kIspendr, 1u << 27);
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 1u << 27);
  EXPECT_EQ(machine.serve(0), 27u);
  EXPECT_EQ(machine.serve(0), kSpurious);
  EXPECT_EQ(machine.read_private(0, gicd::kIspendr), 0u);
}

TEST_P(VgicDelivery, SoftwarePendingWhileTheTimerIsActiveComesAfterItsEnd) {
  machine.enable(0, 27);
  machine.line(0, 27).asserted = true;
  machine.take_physical(0, 27);
  ASSERT_EQ(machine.acknowledge(0), 27u);
  machine.line(0, 27).asserted = false;
  machine.write_private(0, gicd::kIspendr, 1u << 27);
  machine.end(0, 27);
  EXPECT_EQ(machine.serve(0), 27u);
  EXPECT_EQ(machine.serve(0), kSpurious);
  machine.exit(0);
  EXPECT_FALSE(machine.line(0, 27).active);
}

TEST_P(VgicDelivery, EdgeTriggeredHardwareInterruptIsNotWithdrawn) {
  ASSERT_TRUE(machine->map_hardware(0, 40, 40));
  machine.write(gicd::kIcfgr + 8, 2u << 16);
  machine.line(0, 40).latched = true;
  machine.take_physical(0, 40);
  EXPECT_EQ(machine.read(gicd::kIspendr + 4), 1u << 8);
  machine.enable(0, 40);
  EXPECT_EQ(machine.serve(0), 40u);
  EXPECT_EQ(machine.serve(0), kSpurious);
}

TEST_P(VgicDelivery, TimersOfTwoVcpusAreIndependent) {
  machine.enable(0, 27);
  machine.enable(1, 27);
  machine.line(1, 27).asserted = true;
  machine.take_physical(1, 27);
  EXPECT_EQ(machine.acknowledge(0), kSpurious);
  EXPECT_EQ(machine.acknowledge(1), 27u);
  EXPECT_FALSE(machine->owes_deactivation(0, 27));
}

// ---- more interrupts than list registers ----

TEST_P(VgicDelivery, OverflowDeliversEverythingInPriorityOrder) {
  for (u32 i = 0; i < 20; ++i) {
    machine.enable(0, 40 + i, static_cast<u8>(0xf0 - i * 8));
    machine.write(gicd::kIspendr + 4, u64{1} << (8 + i) & 0xffff'ffff);
  }
  machine.enter(0);
  EXPECT_EQ(machine.cpus[0].set.count, 4u);
  EXPECT_NE(machine.cpus[0].set.control & virtual_control::kNoPending, 0u);
  for (u32 i = 20; i-- > 0;) EXPECT_EQ(machine.serve(0), 40 + i);
  EXPECT_EQ(machine.serve(0), kSpurious);
}

TEST_P(VgicDelivery, FittingInterruptsAskForNoMaintenance) {
  for (u32 i = 0; i < 4; ++i) machine.enable(0, 40 + i);
  machine.write(gicd::kIspendr + 4, 0xf00);
  machine.enter(0);
  EXPECT_EQ(machine.cpus[0].set.count, 4u);
  EXPECT_EQ(machine.cpus[0].set.control, virtual_control::kEnable);
}

TEST_P(VgicDelivery, NewInterruptOfBestPriorityTakesAListRegisterFromAWorseOne) {
  for (u32 i = 0; i < 4; ++i) machine.enable(0, 40 + i, 0xa0);
  machine.write(gicd::kIspendr + 4, 0xf00);
  machine.enter(0);
  machine.enable(0, 50, 0x10);
  machine->set_line(0, 50, true);
  EXPECT_EQ(machine.acknowledge(0), 50u);
}

TEST_P(VgicDelivery, MoreActiveInterruptsThanListRegistersDoNotBlockDelivery) {
  machine.cpus[0].split_deactivation = GetParam().version == 3;
  for (u32 i = 0; i < 8; ++i) machine.enable(0, 40 + i, static_cast<u8>(0xf0 - i * 8));
  for (u32 i = 0; i < 8; ++i) {
    machine.write(gicd::kIspendr + 4, 1u << (8 + i));
    ASSERT_EQ(machine.acknowledge(0), 40 + i) << "nested " << i;
  }
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0xff00u);
  for (u32 i = 8; i-- > 0;) {
    machine.end(0, 40 + i);
    if (machine.cpus[0].split_deactivation) machine.deactivate(0, 40 + i);
  }
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0u);
}

TEST(VgicOverflow, TrapsDeactivationWhereTheHostCan) {
  VgicConfig config = gicv3(1);
  config.can_trap_deactivate = true;
  VgicMachine machine(config);
  machine.enable_distributor();
  machine.cpus[0].split_deactivation = true;
  for (u32 i = 0; i < 8; ++i) machine.enable(0, 40 + i, 0x80);
  for (u32 i = 0; i < 8; ++i) {
    machine.write(gicd::kIspendr + 4, 1u << (8 + i));
    ASSERT_EQ(machine.acknowledge(0), 40 + i);
    machine.end(0, 40 + i);
  }
  machine.deactivate(0, 47);
  machine.deactivate(0, 41);
  EXPECT_EQ(machine.read(gicd::kIsactiver + 4), 0x7d00u);
}

TEST(VgicOverflow, SixteenListRegistersHoldSixteenInterrupts) {
  VgicMachine machine(gicv3(1, 16));
  machine.enable_distributor();
  for (u32 i = 0; i < 17; ++i) machine.enable(0, 40 + i, 0x80);
  machine.write(gicd::kIspendr + 4, 0x1ff'ff00);
  machine.enter(0);
  EXPECT_EQ(machine.cpus[0].set.count, 16u);
  for (u32 i = 0; i < 17; ++i) EXPECT_EQ(machine.serve(0), 40 + i);
}

// ---- SGIs ----

TEST(VgicV2Delivery, SgiCarriesItsSource) {
  VgicMachine machine(gicv2(4));
  machine.enable_distributor();
  machine.write(gicd::kSgir, 0x0002'0005, 4, 3);
  EXPECT_EQ(machine->take_kicks() & 2, 2u);
  u8 source = 0xff;
  ASSERT_EQ(machine.acknowledge(1, &source), 5u);
  EXPECT_EQ(source, 3);
  EXPECT_EQ(machine.read(gicd::kIsactiver, 4, 1), 1u << 5);
  machine.end(1, 5, 3);
  EXPECT_EQ(machine.read(gicd::kIsactiver, 4, 1), 0u);
}

TEST(VgicV2Delivery, SgiFromSeveralSourcesIsDeliveredOncePerSource) {
  VgicMachine machine(gicv2(4));
  machine.enable_distributor();
  for (unsigned from : {0u, 2u, 3u}) machine.write(gicd::kSgir, 0x0002'0005, 4, from);
  machine.enter(1);
  EXPECT_EQ(machine.cpus[1].set.count, 3u);
  std::vector<u8> sources;
  for (u8 source = 0; machine.acknowledge(1, &source) != kSpurious;) {
    sources.push_back(source);
    machine.end(1, 5, source);
  }
  std::sort(sources.begin(), sources.end());
  EXPECT_EQ(sources, (std::vector<u8>{0, 2, 3}));
}

TEST(VgicV2Delivery, SgiSourcesBeyondTheListRegistersFollow) {
  VgicMachine machine(gicv2(8));
  machine.enable_distributor();
  for (unsigned from = 0; from < 8; ++from) machine.write(gicd::kSgir, 0x0002'0005, 4, from);
  unsigned count = 0;
  for (u8 source = 0; machine.acknowledge(1, &source) != kSpurious; ++count) machine.end(1, 5, source);
  EXPECT_EQ(count, 8u);
}

TEST(VgicV2Delivery, SameSourceWhileActiveIsDeliveredAgain) {
  VgicMachine machine(gicv2(2));
  machine.enable_distributor();
  machine.write(gicd::kSgir, 0x0002'0001, 4, 0);
  u8 source = 0;
  ASSERT_EQ(machine.acknowledge(1, &source), 1u);
  machine.write(gicd::kSgir, 0x0002'0001, 4, 0);
  machine.end(1, 1, source);
  EXPECT_EQ(machine.serve(1), 1u);
  EXPECT_EQ(machine.serve(1), kSpurious);
}

constexpr u64 sgi1r(u32 intid, u16 targets, u64 rest = 0) { return u64{intid} << 24 | targets | rest; }

TEST(VgicV3Delivery, SgiReachesTheListedTargets) {
  VgicMachine machine(gicv3(4));
  machine.enable_distributor();
  for (unsigned i = 0; i < 4; ++i) machine.enable(i, 7);
  (void)machine->take_kicks();
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 0b1010));
  EXPECT_EQ(machine->take_kicks(), 0b1010u);
  EXPECT_EQ(machine.serve(0), kSpurious);
  EXPECT_EQ(machine.serve(1), 7u);
  EXPECT_EQ(machine.serve(2), kSpurious);
  EXPECT_EQ(machine.serve(3), 7u);
}

TEST(VgicV3Delivery, SgiToAllOthersSkipsTheSender) {
  VgicMachine machine(gicv3(4));
  machine.enable_distributor();
  for (unsigned i = 0; i < 4; ++i) machine.enable(i, 7);
  (void)machine->take_kicks();
  machine->send_sgi(2, SgiRegister::Sgi1r, sgi1r(7, 0, u64{1} << 40));
  EXPECT_EQ(machine->take_kicks(), 0b1011u);
}

TEST(VgicV3Delivery, SgiMatchesAllAffinityLevels) {
  VgicConfig config = gicv3(3);
  config.affinity = {0x0000'0000, 0x0403'0211, 0x0403'0201};
  VgicMachine machine(config);
  machine.enable_distributor();
  for (unsigned i = 0; i < 3; ++i) machine.enable(i, 7);
  (void)machine->take_kicks();
  constexpr u64 cluster = u64{4} << 48 | u64{3} << 32 | u64{2} << 16;
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 1u << 1, cluster));
  EXPECT_EQ(machine->take_kicks(), 1u << 2);
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 1u << 1, cluster | u64{1} << 44));
  EXPECT_EQ(machine->take_kicks(), 1u << 1) << "range selector 1: Aff0 16 to 31";
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 1u << 1));
  EXPECT_EQ(machine->take_kicks(), 0u);
}

TEST(VgicV3Delivery, GroupOfTheSgiDecidesWhichRegisterReachesIt) {
  VgicMachine machine(gicv3(2));
  machine.enable_distributor();
  machine.enable(1, 6);
  machine.enable(1, 7);
  machine.write_private(1, gicd::kIgroupr, 1u << 7);
  machine->send_sgi(0, SgiRegister::Sgi0r, sgi1r(7, 2));
  machine->send_sgi(0, SgiRegister::Asgi1r, sgi1r(7, 2));
  EXPECT_EQ(machine.serve(1), kSpurious) << "a group 1 SGI";
  machine->send_sgi(0, SgiRegister::Sgi0r, sgi1r(6, 2));
  EXPECT_EQ(machine.serve(1), 6u);
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(6, 2));
  EXPECT_EQ(machine.serve(1), 6u);
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 2));
  EXPECT_EQ(machine.serve(1), 7u);
}

TEST(VgicV3Delivery, SgiPendingBitsAreWritable) {
  VgicMachine machine(gicv3(2));
  machine.enable_distributor();
  machine.enable(1, 7);
  machine.write_private(1, gicd::kIspendr, 1u << 7, 4, 0);
  EXPECT_EQ(machine.read_private(1, gicd::kIspendr), 1u << 7);
  EXPECT_EQ(machine.serve(1), 7u);
}

TEST(VgicV3Delivery, SgiToAVcpuThatIsRunningMergesWithTheLoadedOne) {
  VgicMachine machine(gicv3(2));
  machine.enable_distributor();
  machine.enable(1, 7);
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 2));
  machine.enter(1);
  machine->send_sgi(0, SgiRegister::Sgi1r, sgi1r(7, 2));
  EXPECT_EQ(machine.serve(1), 7u);
  EXPECT_EQ(machine.serve(1), kSpurious);
}

TEST(VgicV3Delivery, TimerThatAnotherVcpuClearsIsDeactivatedByItsOwner) {
  VgicMachine machine(gicv3(2));
  machine.line(1, 27).asserted = true;
  machine.take_physical(1, 27);
  (void)machine->take_kicks();
  machine.write_private(1, gicd::kIcpendr, 1u << 27, 4, 0);
  EXPECT_TRUE(machine.line(1, 27).active) << "out of reach";
  EXPECT_EQ(machine->take_kicks(), 2u);
  machine.enter(1);
  EXPECT_FALSE(machine.line(1, 27).active);
  EXPECT_EQ(machine.deactivations, 1u);
}

TEST(VgicV3Delivery, RemoteDisableWithdrawsALoadedPrivateInterrupt) {
  VgicMachine machine(gicv3(2));
  machine.enable_distributor();
  machine.enable(1, 20);
  machine->set_line(1, 20, true);
  machine.enter(1);
  (void)machine->take_kicks();
  machine.write_private(1, gicd::kIcenabler, 1u << 20, 4, 0);
  EXPECT_EQ(machine->take_kicks(), 2u);
  EXPECT_EQ(machine.acknowledge(1), kSpurious);
}

}  // namespace
}  // namespace hv
