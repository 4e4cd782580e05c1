#include "hypervisor/device/x86_64/vlocal_apic.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/device/x86_64/recording_host.hpp"

namespace hv {
namespace {

constexpr u64 kTscHz = 1'000'000'000;
constexpr u32 kId = 0x20, kVersion = 0x30, kTpr = 0x80, kPpr = 0xa0, kEoi = 0xb0, kLdr = 0xd0, kDfr = 0xe0, kSvr = 0xf0,
              kIsr = 0x100, kTmr = 0x180, kIrr = 0x200, kEsr = 0x280, kIcr = 0x300, kIcrHigh = 0x310, kLvtTimer = 0x320,
              kLvtPerformance = 0x340, kLvtLint0 = 0x350, kLvtError = 0x370, kInitial = 0x380, kCurrent = 0x390,
              kDivide = 0x3e0, kSelfIpi = 0x3f0;
constexpr u32 kMasked = 1u << 16, kPeriodic = 1u << 17, kDeadlineMode = 2u << 17, kLogical = 1u << 11;
constexpr u32 kOthers = 3u << 18, kAll = 2u << 18, kSelf = 1u << 18;
constexpr u32 kLowest = 1u << 8, kNmi = 4u << 8, kInit = 5u << 8, kSipi = 6u << 8;
constexpr u64 kEnable = 1u << 11, kExtended = 1u << 10;

class VLocalApicTest : public testing::Test, private EndOfInterruptListener {
 protected:
  VLocalApicTest() {
    for (unsigned i = 0; i < bus.size(); ++i) write(i, kSvr, 0x1ff);
    host.take_kicks();
  }
  u32 read(unsigned cpu, u32 offset) { return static_cast<u32>(bus[cpu].mmio_read(offset, 4)); }
  void write(unsigned cpu, u32 offset, u32 value) { bus[cpu].mmio_write(offset, 4, value); }
  static u32 msr(u32 offset) { return 0x800 + offset / 16; }
  void enter_x2apic(unsigned cpu) { ASSERT_TRUE(bus[cpu].set_base(bus[cpu].base() | kExtended)); }
  void send(unsigned cpu, u32 destination, u32 command) {
    write(cpu, kIcrHigh, destination << 24);
    write(cpu, kIcr, command);
  }
  /// What each vCPU would be given now, all taken and ended.
  std::vector<unsigned> drain(unsigned cpu) {
    std::vector<unsigned> got;
    while (bus[cpu].pending() != 0) {
      got.push_back(bus[cpu].pending());
      bus[cpu].acknowledge();
      if (!bus[cpu].write_msr(msr(kEoi), 0)) write(cpu, kEoi, 0);
    }
    return got;
  }
  u32 receivers(u8 vector) {
    u32 mask = 0;
    for (unsigned i = 0; i < bus.size(); ++i) mask |= (drain(i) == std::vector<unsigned>{vector} ? 1u : 0u) << i;
    return mask;
  }
  void advance(u64 ticks) {
    host.time += ticks;
    for (unsigned i = 0; i < bus.size(); ++i) bus[i].run_timer(host.time);
  }

  RecordingHost host;
  std::vector<unsigned> ended;
  LocalApicBus bus{host, *this, 4, kTscHz};

 private:
  void end_of_interrupt(u8 vector) override { ended.push_back(vector); }
};
using Vectors = std::vector<unsigned>;

TEST_F(VLocalApicTest, PowerOnStateIsTheManuals) {
  bus.power_on();
  EXPECT_EQ(read(1, kId), 1u << 24);
  EXPECT_EQ(read(1, kVersion), 0x0005'0014u);
  EXPECT_EQ(read(1, kSvr), 0xffu);
  EXPECT_EQ(read(1, kDfr), ~0u);
  EXPECT_EQ(read(1, kLvtTimer), kMasked);
  EXPECT_EQ(read(1, kLvtLint0), kMasked);
  EXPECT_EQ(bus[0].base(), 0xfee0'0900u);
  EXPECT_EQ(bus[1].base(), 0xfee0'0800u);
  EXPECT_EQ(read(0, kLvtLint0), 0x700u) << "virtual wire, as firmware leaves the bootstrap processor";
}

TEST_F(VLocalApicTest, HigherVectorIsDeliveredFirst) {
  send(1, 0, 0x4031);
  send(1, 0, 0x4091);
  EXPECT_EQ(host.take_kicks(), 1u);
  EXPECT_EQ(drain(0), (Vectors{0x91, 0x31}));
}

TEST_F(VLocalApicTest, InterruptInServiceHoldsBackItsClass) {
  send(1, 0, 0x42);
  EXPECT_EQ(bus[0].pending(), 0x42);
  bus[0].acknowledge();
  EXPECT_EQ(read(0, kIsr + 0x20), 1u << 2);
  EXPECT_EQ(read(0, kPpr), 0x40u);
  send(1, 0, 0x4f);
  EXPECT_EQ(bus[0].pending(), 0) << "the same class waits";
  EXPECT_EQ(read(0, kIrr + 0x20), 1u << 15);
  send(1, 0, 0x50);
  EXPECT_EQ(bus[0].pending(), 0x50);
  bus[0].acknowledge();
  write(0, kEoi, 0);
  EXPECT_EQ(bus[0].pending(), 0);
  write(0, kEoi, 0);
  EXPECT_EQ(bus[0].pending(), 0x4f);
}

TEST_F(VLocalApicTest, TaskPriorityMasksItsClassAndBelow) {
  write(0, kTpr, 0x45);
  EXPECT_EQ(read(0, kPpr), 0x45u);
  send(1, 0, 0x4f);
  EXPECT_EQ(bus[0].pending(), 0);
  EXPECT_EQ(host.take_kicks(), 1u) << "only the vCPU itself knows what its priority lets through";
  bus[0].set_cr8(3);
  EXPECT_EQ(read(0, kTpr), 0x30u);
  EXPECT_EQ(bus[0].cr8(), 3);
  EXPECT_EQ(bus[0].pending(), 0x4f);
}

TEST_F(VLocalApicTest, KicksWhenTheVcpuItselfLetsAnInterruptThrough) {
  send(1, 0, 0x50);
  EXPECT_EQ(bus[0].pending(), 0x50);
  bus[0].acknowledge();
  send(1, 0, 0x40);
  host.take_kicks();
  write(0, kEoi, 0);
  EXPECT_EQ(host.take_kicks(), 1u) << "the end of a higher priority";
  write(0, kTpr, 0x80);
  EXPECT_EQ(host.take_kicks(), 0u);
  write(0, kTpr, 0);
  EXPECT_EQ(host.take_kicks(), 1u) << "a lower task priority";
}

TEST_F(VLocalApicTest, SoftwareDisabledAcceptsNothingAndMasksTheTable) {
  write(0, kLvtTimer, 0x40);
  write(0, kSvr, 0xff);
  EXPECT_EQ(read(0, kLvtTimer), 0x40 | kMasked);
  write(0, kLvtTimer, 0x40);
  EXPECT_EQ(read(0, kLvtTimer), 0x40 | kMasked);
  send(1, 0, 0x50);
  EXPECT_EQ(bus[0].pending(), 0);
  send(1, 0, kNmi);
  EXPECT_EQ(host.nmis[0], 1u) << "not maskable";
}

TEST_F(VLocalApicTest, EndOfALevelInterruptIsBroadcast) {
  bus.deliver({.destination = 0, .vector = 0x61, .level = true});
  EXPECT_EQ(read(0, kTmr + 0x30), 2u);
  drain(0);
  EXPECT_EQ(ended, Vectors{0x61});
  bus.deliver({.destination = 0, .vector = 0x61});
  EXPECT_EQ(read(0, kTmr + 0x30), 0u);
  drain(0);
  EXPECT_EQ(ended.size(), 1u);
}

TEST_F(VLocalApicTest, PhysicalDestinations) {
  send(0, 2, 0x50);
  EXPECT_EQ(receivers(0x50), 0b0100u);
  send(0, 0xff, 0x50);
  EXPECT_EQ(receivers(0x50), 0b1111u);
  send(0, 9, 0x50);
  EXPECT_EQ(receivers(0x50), 0u);
}

TEST_F(VLocalApicTest, FlatLogicalDestinations) {
  for (unsigned i = 0; i < 4; ++i) write(i, kLdr, 1u << (24 + i));
  send(0, 0b1010, 0x50 | kLogical);
  EXPECT_EQ(receivers(0x50), 0b1010u);
}

TEST_F(VLocalApicTest, ClusterLogicalDestinations) {
  constexpr u32 logical[] = {0x01, 0x02, 0x11, 0x12};
  for (unsigned i = 0; i < 4; ++i) {
    write(i, kDfr, 0);
    write(i, kLdr, logical[i] << 24);
  }
  EXPECT_EQ(read(0, kDfr), 0x0fff'ffffu);
  send(0, 0x13, 0x50 | kLogical);
  EXPECT_EQ(receivers(0x50), 0b1100u);
  send(0, 0xf2, 0x50 | kLogical);
  EXPECT_EQ(receivers(0x50), 0b1010u);
}

TEST_F(VLocalApicTest, Shorthands) {
  send(1, 0, 0x50 | kSelf);
  EXPECT_EQ(receivers(0x50), 0b0010u);
  send(1, 0, 0x50 | kAll);
  EXPECT_EQ(receivers(0x50), 0b1111u);
  send(1, 0, 0x50 | kOthers);
  EXPECT_EQ(receivers(0x50), 0b1101u);
  send(1, 0, kNmi | kSelf);
  EXPECT_EQ(host.nmis[1], 0u) << "not a valid combination";
}

TEST_F(VLocalApicTest, LowestPriorityTakesTheLeastBusyInTurn) {
  write(1, kTpr, 0x20);
  write(2, kTpr, 0x10);
  write(3, kTpr, 0x10);
  write(0, kSvr, 0xff);
  u32 seen = 0;
  for (unsigned i = 0; i < 2; ++i) {
    send(0, 0xff, 0x50 | kLowest);
    const u32 got = receivers(0x50);
    EXPECT_TRUE(got == 0b0100 || got == 0b1000) << got;
    seen |= got;
  }
  EXPECT_EQ(seen, 0b1100u);
}

TEST_F(VLocalApicTest, InitAndStartUp) {
  bus.power_on();
  write(0, kSvr, 0x1ff);
  send(0, 1, kSipi | 0x9a);
  EXPECT_EQ(host.take_events(), "start1:154 ");
  send(0, 1, kSipi | 0x9a);
  EXPECT_EQ(host.take_events(), "") << "only a waiting vCPU starts";
  write(1, kSvr, 0x1ff);
  write(1, kTpr, 0x30);
  send(0, 1, kInit | 0xc000);
  EXPECT_EQ(host.take_events(), "init1 ");
  EXPECT_EQ(read(1, kSvr), 0xffu);
  EXPECT_EQ(read(1, kTpr), 0u);
  send(0, 1, kInit | 0x8000);
  EXPECT_EQ(host.take_events(), "") << "level de-assert";
  send(0, 1, kNmi);
  EXPECT_EQ(host.nmis[1], 0u) << "blocked while waiting";
  send(0, 0, kSipi | 1 | kOthers);
  EXPECT_EQ(host.take_events(), "start1:1 start2:1 start3:1 ");
  send(0, 1, kNmi);
  EXPECT_EQ(host.nmis[1], 1u);
}

TEST_F(VLocalApicTest, InitOfTheBootstrapProcessorResetsTheMachine) {
  send(1, 0, kInit | 0xc000);
  EXPECT_EQ(host.take_events(), "reset ");
}

TEST_F(VLocalApicTest, ErrorsAreLatchedByAWrite) {
  write(0, kLvtError, 0xfe);
  send(0, 1, 0x05);
  EXPECT_EQ(read(0, kEsr), 0u);
  EXPECT_EQ(drain(0), Vectors{0xfe});
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0x20u);
  bus.deliver({.destination = 0, .vector = 3});
  (void)read(0, 0x3a0);
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0xc0u);
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0u);
}

TEST_F(VLocalApicTest, ErrorInterruptWithAnIllegalVectorIsNotDelivered) {
  write(0, kLvtError, 3);
  send(0, 1, 0x05);
  EXPECT_EQ(bus[0].pending(), 0);
}

TEST_F(VLocalApicTest, ReadOnlyRegistersIgnoreWrites) {
  for (const u32 offset : {kId, kVersion, kPpr, kIsr, kTmr, kIrr, kCurrent}) {
    const u32 before = read(0, offset);
    write(0, offset, ~0u);
    EXPECT_EQ(read(0, offset), before) << offset;
  }
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0u);
}

TEST_F(VLocalApicTest, NarrowAndMisplacedAccesses) {
  EXPECT_EQ(bus[2].mmio_read(kId + 3, 1), 2u);
  EXPECT_EQ(bus[2].mmio_read(kId + 4, 4), 0u);
  bus[2].mmio_write(kTpr, 1, 0x50);
  bus[2].mmio_write(kTpr + 4, 4, 0x50);
  EXPECT_EQ(read(2, kTpr), 0u);
}

// ---- timer ----

TEST_F(VLocalApicTest, OneShotTimer) {
  host.time = 1000;
  write(0, kDivide, 0b0011);  // by 16
  write(0, kLvtTimer, 0x40);
  write(0, kInitial, 100);
  EXPECT_EQ(bus[0].deadline(), 1000u + 1600);
  host.time += 800;
  EXPECT_EQ(read(0, kCurrent), 50u);
  advance(799);
  EXPECT_EQ(bus[0].pending(), 0);
  EXPECT_EQ(read(0, kCurrent), 1u);
  advance(1);
  EXPECT_EQ(drain(0), Vectors{0x40});
  EXPECT_EQ(read(0, kCurrent), 0u);
  EXPECT_EQ(bus[0].deadline(), kNoDeadline);
}

TEST_F(VLocalApicTest, DivideConfigurations) {
  constexpr std::pair<u32, u32> divisors[] = {{0b0000, 2},  {0b0001, 4},  {0b0010, 8},   {0b0011, 16},
                                              {0b1000, 32}, {0b1001, 64}, {0b1010, 128}, {0b1011, 1}};
  write(0, kLvtTimer, 0x40);
  for (const auto& [value, divisor] : divisors) {
    write(0, kDivide, value);
    write(0, kInitial, 1000);
    EXPECT_EQ(bus[0].deadline(), host.time + u64{1000} * divisor) << value;
  }
}

TEST_F(VLocalApicTest, ChangedDivisorGoesOnFromTheCurrentCount) {
  write(0, kDivide, 0b1011);
  write(0, kLvtTimer, 0x40);
  write(0, kInitial, 1000);
  host.time = 400;
  write(0, kDivide, 0b0000);
  EXPECT_EQ(read(0, kCurrent), 600u);
  EXPECT_EQ(bus[0].deadline(), 400u + 1200);
}

TEST_F(VLocalApicTest, PeriodicTimerKeepsItsPhaseAndDropsMissedTicks) {
  write(0, kDivide, 0b1011);
  write(0, kLvtTimer, 0x40 | kPeriodic);
  write(0, kInitial, 1'000'000);
  advance(1'000'000);
  EXPECT_EQ(drain(0), Vectors{0x40});
  EXPECT_EQ(bus[0].deadline(), 2'000'000u);
  advance(5'500'000);
  EXPECT_EQ(drain(0), Vectors{0x40});
  EXPECT_EQ(bus[0].deadline(), 7'000'000u);
  EXPECT_EQ(read(0, kCurrent), 500'000u);
}

TEST_F(VLocalApicTest, TinyPeriodIsStretchedToTheMinimum) {
  write(0, kDivide, 0b1011);
  write(0, kLvtTimer, 0x40 | kPeriodic);
  write(0, kInitial, 1);
  advance(1);
  EXPECT_EQ(bus[0].deadline(), 1 + kMinimumTimerPeriodMicroseconds * 1000);
  EXPECT_LE(read(0, kCurrent), 1u);
}

TEST_F(VLocalApicTest, MaskedTimerRunsWithoutInterruptOrDeadline) {
  write(0, kDivide, 0b1011);
  write(0, kLvtTimer, 0x40 | kPeriodic | kMasked);
  write(0, kInitial, 1'000'000);
  EXPECT_EQ(bus[0].deadline(), kNoDeadline);
  host.time = 3'200'000;
  EXPECT_EQ(read(0, kCurrent), 800'000u);
  write(0, kLvtTimer, 0x40 | kPeriodic);
  EXPECT_EQ(bus[0].pending(), 0);
  EXPECT_EQ(bus[0].deadline(), 4'000'000u);
}

TEST_F(VLocalApicTest, TscDeadlineTimer) {
  bus[0].set_tsc_deadline(500);
  EXPECT_EQ(bus[0].tsc_deadline(), 0u) << "not in this mode";
  write(0, kLvtTimer, 0x40 | kDeadlineMode);
  bus[0].set_tsc_deadline(500);
  EXPECT_EQ(bus[0].tsc_deadline(), 500u);
  EXPECT_EQ(read(0, kCurrent), 0u);
  write(0, kInitial, 7);
  EXPECT_EQ(read(0, kInitial), 0u);
  EXPECT_EQ(bus[0].deadline(), 500u);
  advance(500);
  EXPECT_EQ(bus[0].tsc_deadline(), 0u);
  EXPECT_EQ(drain(0), Vectors{0x40});
  bus[0].set_tsc_deadline(100);
  EXPECT_EQ(drain(0), Vectors{0x40}) << "a time that has passed";
  bus[0].set_tsc_deadline(5000);
  write(0, kLvtTimer, 0x40);
  EXPECT_EQ(bus[0].deadline(), kNoDeadline);
}

// ---- modes ----

TEST_F(VLocalApicTest, ModeTransitions) {
  const u64 address = 0xfee0'0000;
  VLocalApic& apic = bus[1];
  EXPECT_FALSE(apic.set_base(address | kExtended)) << "invalid";
  EXPECT_FALSE(apic.set_base(address | kEnable | 1)) << "reserved bit";
  EXPECT_FALSE(apic.set_base(address | kEnable | u64{1} << 52));
  EXPECT_TRUE(apic.set_base(address | kEnable | kExtended));
  EXPECT_FALSE(apic.set_base(address | kEnable)) << "x2APIC to xAPIC";
  EXPECT_TRUE(apic.set_base(address));
  EXPECT_FALSE(apic.enabled());
  EXPECT_FALSE(apic.set_base(address | kEnable | kExtended)) << "off to x2APIC";
  EXPECT_TRUE(apic.set_base(address | kEnable));
  EXPECT_EQ(read(1, kSvr), 0xffu) << "reset by having been off";
}

TEST_F(VLocalApicTest, OffReceivesNothing) {
  EXPECT_TRUE(bus[1].set_base(0xfee0'0000));
  EXPECT_EQ(bus[1].page(), ~u64{0});
  send(0, 0xff, 0x50);
  EXPECT_EQ(receivers(0x50), 0b1101u);
  send(0, 1, kInit | 0xc000);
  EXPECT_EQ(host.take_events(), "");
}

TEST_F(VLocalApicTest, PageMovesWithTheBase) {
  EXPECT_TRUE(bus[1].set_base(0xfed0'0000 | kEnable));
  EXPECT_EQ(bus[1].page(), 0xfed0'0000u);
}

TEST_F(VLocalApicTest, X2apicKeepsTheStateAndDerivesTheLogicalId) {
  write(3, kTpr, 0x20);
  enter_x2apic(3);
  EXPECT_EQ(bus[3].read_msr(msr(kTpr)), 0x20u);
  EXPECT_EQ(bus[3].read_msr(msr(kId)), 3u);
  EXPECT_EQ(bus[3].read_msr(msr(kLdr)), 8u);
  EXPECT_EQ(bus[3].read_msr(msr(kSvr)), 0x1ffu);
}

TEST_F(VLocalApicTest, X2apicRegisterRules) {
  EXPECT_FALSE(bus[1].read_msr(msr(kId)).has_value()) << "xAPIC mode";
  EXPECT_FALSE(bus[1].write_msr(msr(kTpr), 0));
  enter_x2apic(1);
  for (const u32 readable : {kId, kVersion, kTpr, kPpr, kLdr, kSvr, kIsr, kTmr, kIrr, kEsr, kIcr, kLvtTimer,
                             kLvtPerformance, kLvtError, kInitial, kCurrent, kDivide})
    EXPECT_TRUE(bus[1].read_msr(msr(readable)).has_value()) << readable;
  for (const u32 unreadable : {0x00u, 0x90u, kEoi, 0xc0u, kDfr, 0x2f0u, kIcrHigh, 0x3a0u, kSelfIpi, 0x400u, 0xff0u})
    EXPECT_FALSE(bus[1].read_msr(msr(unreadable)).has_value()) << unreadable;
  for (const u32 read_only : {kId, kVersion, kPpr, kLdr, kDfr, kIsr, kTmr, kIrr, kIcrHigh, kCurrent})
    EXPECT_FALSE(bus[1].write_msr(msr(read_only), 0)) << read_only;
  constexpr std::pair<u32, u64> refused[] = {{kEoi, 1},           {kEsr, 1},          {kTpr, 0x100},
                                             {kSvr, 0x1000},      {kDivide, 4},       {kSelfIpi, 0x100},
                                             {kIcr, 0x2000},      {kIcr, 0x10'0000},  {kLvtTimer, 0x8'0000},
                                             {kLvtTimer, 0x4000}, {kLvtError, 0x400}, {kInitial, u64{1} << 32}};
  for (const auto& [offset, value] : refused) EXPECT_FALSE(bus[1].write_msr(msr(offset), value)) << offset;
  constexpr u32 kStatus = 0x1000, kRemoteIrr = 0x4000;
  EXPECT_TRUE(bus[1].write_msr(msr(kLvtLint0), 0x700 | kStatus | kRemoteIrr)) << "read-only, not reserved";
  EXPECT_EQ(bus[1].read_msr(msr(kLvtLint0)), 0x700u);
  EXPECT_TRUE(bus[1].write_msr(msr(kLvtTimer), 0x40 | kStatus));
}

TEST_F(VLocalApicTest, X2apicCommandIsOneWrite) {
  for (unsigned i = 0; i < 4; ++i) enter_x2apic(i);
  EXPECT_TRUE(bus[0].write_msr(msr(kIcr), u64{2} << 32 | 0x50));
  EXPECT_EQ(bus[0].read_msr(msr(kIcr)), (u64{2} << 32 | 0x50));
  EXPECT_EQ(receivers(0x50), 0b0100u);
  EXPECT_TRUE(bus[0].write_msr(msr(kIcr), 0xffff'ffffull << 32 | 0x50));
  EXPECT_EQ(receivers(0x50), 0b1111u);
  EXPECT_TRUE(bus[0].write_msr(msr(kIcr), u64{0b1001} << 32 | kLogical | 0x50));
  EXPECT_EQ(receivers(0x50), 0b1001u);
  EXPECT_TRUE(bus[0].write_msr(msr(kIcr), u64{0x1'0001} << 32 | kLogical | 0x50));
  EXPECT_EQ(receivers(0x50), 0u) << "another cluster";
  EXPECT_TRUE(bus[0].write_msr(msr(kIcr), u64{0xff} << 32 | 0x50));
  EXPECT_EQ(receivers(0x50), 0u) << "0xff is an id";
  EXPECT_TRUE(bus[2].write_msr(msr(kSelfIpi), 0x50));
  EXPECT_EQ(receivers(0x50), 0b0100u);
}

TEST_F(VLocalApicTest, InitKeepsX2apicMode) {
  enter_x2apic(1);
  send(0, 1, kInit | 0xc000);
  EXPECT_EQ(bus[1].read_msr(msr(kSvr)), 0xffu);
  EXPECT_EQ(bus[1].read_msr(msr(kLdr)), 2u);
}

TEST_F(VLocalApicTest, Lint0TakesThe8259) {
  bus.power_on();
  EXPECT_TRUE(bus[0].takes_8259());
  EXPECT_FALSE(bus[1].takes_8259());
  write(0, kLvtLint0, 0x700 | kMasked);
  EXPECT_FALSE(bus[0].takes_8259());
  write(0, kLvtLint0, 0x33);
  bus[0].lint0_rises();
  EXPECT_EQ(drain(0), Vectors{0x33});
  write(0, kLvtLint0, kNmi);
  bus[0].lint0_rises();
  EXPECT_EQ(host.nmis[0], 1u);
  EXPECT_TRUE(bus[0].set_base(0xfee0'0000));
  EXPECT_TRUE(bus[0].takes_8259()) << "without an APIC, INTR is the 8259's";
}

// ---- what others send while the owner runs ----

/// Does nothing, so that several threads may call it.
class SilentHost final : public PcHost, public EndOfInterruptListener {
 public:
  u64 now() override { return 0; }
  void deadline_changed(unsigned) override {}
  void board_deadline_changed(u64) override {}
  void kick(unsigned) override {}
  void nmi(unsigned) override {}
  void init(unsigned) override {}
  void start(unsigned, u8) override {}
  void console_output(char) override {}
  void power_off() override {}
  void reset() override {}
  void debug_exit(u32) override {}
  void line_ended(u32) override {}
  void end_of_interrupt(u8) override {}
};

TEST(VLocalApicInboxTest, EveryVectorOfSeveralSendersArrives) {
  constexpr unsigned kSenders = 3, kRounds = 2000;
  SilentHost host;
  LocalApicBus bus{host, host, kSenders + 1, kTscHz};
  for (unsigned i = 0; i < bus.size(); ++i) bus[i].mmio_write(kSvr, 4, 0x1ff);
  std::array<std::atomic<unsigned>, kSenders> taken{};
  std::vector<std::thread> senders;
  for (unsigned sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&, sender] {
      for (unsigned round = 0; round < kRounds; ++round) {
        // Neighbours share a word; every other one is level-triggered.
        bus.deliver({.destination = 0, .vector = static_cast<u8>(0x41 + sender), .level = round % 2 != 0});
        while (taken[sender].load() == round) std::this_thread::yield();
      }
    });
  }
  for (unsigned left = kSenders * kRounds; left != 0;) {
    const u8 vector = bus[0].pending();
    if (vector == 0) {
      std::this_thread::yield();
      continue;
    }
    // Before anything else: a read of a register looks at what has come since, and a higher vector would take its place.
    bus[0].acknowledge();
    const unsigned sender = vector - 0x41u;
    ASSERT_LT(sender, kSenders);
    const bool level = (bus[0].mmio_read(kTmr + 0x20, 4) >> (vector & 31) & 1) != 0;
    EXPECT_EQ(level, taken[sender].load() % 2 != 0);
    bus[0].mmio_write(kEoi, 4, 0);
    ++taken[sender];
    --left;
  }
  for (std::thread& sender : senders) sender.join();
}

TEST_F(VLocalApicTest, NothingCountsThatCameBeforeAnInit) {
  send(0, 1, 0x4050);
  send(0, 1, kInit | 0xc000);
  send(0, 1, 0x4051);
  EXPECT_EQ(bus[1].pending(), 0);
  EXPECT_EQ(read(1, kIrr + 0x20), 0u);
  EXPECT_EQ(read(1, kSvr), 0xffu);
  write(1, kSvr, 0x1ff);
  send(0, 1, 0x4052);
  EXPECT_EQ(drain(1), Vectors{0x52});
}

TEST_F(VLocalApicTest, RequestsOfOthersShowInTheRegistersAtOnce) {
  send(0, 1, 0x4050);
  EXPECT_EQ(read(1, kIrr + 0x20), 1u << 16);
  enter_x2apic(2);
  bus.deliver({.destination = 2, .vector = 0x51, .level = true});
  EXPECT_EQ(bus[2].read_msr(msr(kTmr + 0x20)), 1u << 17);
}

// ---- registers that the processor reads and writes ----

class SharedRegistersTest : public VLocalApicTest {
 protected:
  SharedRegistersTest() {
    bus[0].share_registers(page);
    bus.power_on();
    for (unsigned i = 0; i < bus.size(); ++i) write(i, kSvr, 0x1ff);
    host.take_kicks();
  }
  u32& word(u32 offset) { return page[offset / 4]; }
  /// As a guest's store to the page, which the processor reports afterwards.
  void store(u32 offset, u32 value) {
    word(offset) = value;
    bus[0].register_written(offset);
  }
  std::array<u32, VLocalApic::kRegisterWords> page{};
};

TEST_F(SharedRegistersTest, LieAsInAVirtualApicPage) {
  EXPECT_EQ(word(kVersion), 0x0005'0014u);
  EXPECT_EQ(word(kSvr), 0x1ffu);
  write(0, kTpr, 0x20);
  EXPECT_EQ(word(kTpr), 0x20u);
  EXPECT_EQ(word(kPpr), 0x20u);
}

TEST_F(SharedRegistersTest, DeliveryIsTheProcessors) {
  bus.deliver({.destination = 0, .vector = 0x61, .level = true});
  send(1, 0, 0x4052);
  VLocalApic::Delivery delivery = bus[0].delivery();
  EXPECT_EQ(delivery.requested, 0x61);
  EXPECT_EQ(delivery.in_service, 0);
  EXPECT_EQ(delivery.level[1], u64{1} << 0x21);
  // It delivers the first, and changes the registers.
  word(kIrr + 0x30) = 0;
  word(kIsr + 0x30) = 1u << 1;
  word(kPpr) = 0x60;
  EXPECT_EQ(bus[0].pending(), 0) << "0x52 waits for the end of 0x61";
  delivery = bus[0].delivery();
  EXPECT_EQ(delivery.requested, 0x52);
  EXPECT_EQ(delivery.in_service, 0x61);
  // The guest ends it without an exit but the one that tells of its level.
  word(kIsr + 0x30) = 0;
  bus[0].ended(0x61);
  EXPECT_EQ(ended, Vectors{0x61});
  EXPECT_EQ(bus[0].pending(), 0x52);
  bus[0].ended(0x52);
  EXPECT_EQ(ended, Vectors{0x61}) << "edge-triggered";
}

TEST_F(SharedRegistersTest, EveryChangeIsToldToTheProcessor) {
  store(kSelfIpi, 0);  // x2APIC only
  host.take_kicks();
  write(0, kEoi, 0);
  EXPECT_EQ(host.take_kicks(), 0u) << "nothing was in service";
  word(kIsr + 0x20) = 1;
  write(0, kEoi, 0);
  EXPECT_EQ(host.take_kicks(), 1u);
  EXPECT_EQ(bus[0].delivery().in_service, 0);
}

TEST_F(SharedRegistersTest, StoresTakeEffectAfterwards) {
  store(kId, 0x5500'0000);
  EXPECT_EQ(word(kId), 0u) << "read-only";
  store(kLdr, ~0u);
  EXPECT_EQ(word(kLdr), 0xff00'0000u) << "reserved bits";
  store(kDivide, 0xb);
  store(kLvtTimer, 0x40 | kPeriodic);
  store(kInitial, 1'000'000);
  EXPECT_EQ(bus[0].deadline(), 1'000'000u);
  advance(500'000);
  store(kDivide, 0x0);
  EXPECT_EQ(bus[0].deadline(), 500'000u + 2 * 500'000u) << "what was left, at half the speed";
  store(kLvtTimer, 0x40 | kDeadlineMode);
  EXPECT_EQ(bus[0].deadline(), kNoDeadline) << "the mode was another one before";
  EXPECT_EQ(word(kInitial), 0u);
  store(kInitial, 5);
  EXPECT_EQ(word(kInitial), 0u) << "ignored in TSC-deadline mode";
  store(kIcrHigh, 2u << 24);
  store(kIcr, 0x4070);
  EXPECT_EQ(drain(2), Vectors{0x70});
}

}  // namespace
}  // namespace hv
