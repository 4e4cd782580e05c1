#include "kernel/drivers/local_apic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arch/cpuid.hpp>
#include <arch/msr.hpp>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr u64 kBase = 0xfee0'0000;
// SDM vol. 3 tables 11-1 and 11-6.
constexpr u64 kIdRegister = 0x20, kSpurious = 0xf0, kEoi = 0xb0, kCommandLow = 0x300, kCommandHigh = 0x310,
              kLvtTimer = 0x320, kLint0 = 0x350, kInitialCount = 0x380, kDivide = 0x3e0;
constexpr u32 kApicBase = 0x1b;
constexpr u32 kX2apicCommand = 0x830, kX2apicId = 0x802, kX2apicEoi = 0x80b, kX2apicSpurious = 0x80f;

struct LocalApicTest : ::testing::Test {
  LocalApicTest() {
    arch::fake::msrs = {{kApicBase, kBase | 1 << 11 | 1 << 8}};
    arch::fake::cpuid_leaves.clear();
  }
  ~LocalApicTest() override {
    arch::fake::msrs.clear();
    arch::fake::cpuid_leaves.clear();
  }
  LocalApic attached(bool x2apic) {
    arch::fake::cpuid_leaves[{1, 0}].ecx = x2apic ? 1u << 21 : 0;
    LocalApic apic;
    apic.attach(Hpa(kBase));
    return apic;
  }
  test::FakeBus bus;
};

TEST_F(LocalApicTest, EnablesAnXapicWithEverySourceMasked) {
  ASSERT_TRUE(attached(false).init_cpu());
  EXPECT_THAT(bus.written(kBase + kSpurious), ElementsAre(0x1ff));
  EXPECT_THAT(bus.written(kBase + kLint0), ElementsAre(0x1'0000));
  EXPECT_THAT(bus.written(kBase + kLvtTimer), ElementsAre(0x1'0000));
  EXPECT_EQ(arch::fake::msrs[kApicBase] & 1 << 10, 0u);
}

TEST_F(LocalApicTest, SwitchesToX2apicWhereTheCpuHasIt) {
  ASSERT_TRUE(attached(true).init_cpu());
  EXPECT_NE(arch::fake::msrs[kApicBase] & 1 << 10, 0u);
  EXPECT_EQ(arch::fake::msrs[kX2apicSpurious], 0x1ffu);
  EXPECT_THAT(bus.writes, IsEmpty());
}

TEST_F(LocalApicTest, DoesNotTouchAnApicThatIsOff) {
  arch::fake::msrs[kApicBase] = kBase;
  EXPECT_EQ(attached(false).init_cpu().error(), Error::BadState);
  EXPECT_THAT(bus.writes, IsEmpty());
}

TEST_F(LocalApicTest, KnowsItsId) {
  bus.values[kBase + kIdRegister] = 0x0500'0000;
  EXPECT_EQ(attached(false).id(), 5u);
  arch::fake::msrs[kX2apicId] = 0x1'2345;
  EXPECT_EQ(attached(true).id(), 0x1'2345u);
}

TEST_F(LocalApicTest, WritesTheDestinationBeforeTheCommand) {
  attached(false).send(3, 0xf0);
  EXPECT_THAT(bus.written(kBase + kCommandHigh), ElementsAre(0x0300'0000));
  EXPECT_THAT(bus.written(kBase + kCommandLow), ElementsAre(0x40f0));
  EXPECT_LT(bus.first_write(kBase + kCommandHigh), bus.first_write(kBase + kCommandLow));
}

TEST_F(LocalApicTest, WaitsUntilACommandIsAccepted) {
  int polls = 0;
  bus.on_read[kBase + kCommandLow] = [&] { return ++polls < 4 ? 1u << 12 : 0; };
  attached(false).send(1, 0xf0);
  EXPECT_EQ(polls, 4);
}

TEST_F(LocalApicTest, GivesUpOnACommandThatIsNeverAccepted) {
  bus.on_read[kBase + kCommandLow] = [&]() -> u64 {
    bus.reads.clear();
    return 1u << 12;
  };
  attached(false).send(1, 0xf0);  // returns
}

TEST_F(LocalApicTest, EncodesEveryKindOfCommand) {
  const LocalApic apic = attached(true);
  apic.send(300, 0xf0);
  EXPECT_EQ(arch::fake::msrs[kX2apicCommand], u64{300} << 32 | 0x40f0);
  apic.send_nmi(2);
  EXPECT_EQ(arch::fake::msrs[kX2apicCommand], u64{2} << 32 | 0x4400);
  apic.send_init(2);
  EXPECT_EQ(arch::fake::msrs[kX2apicCommand], u64{2} << 32 | 0x4500);
  apic.send_startup(2, Hpa(0x9'e000));
  EXPECT_EQ(arch::fake::msrs[kX2apicCommand], u64{2} << 32 | 0x469e);
}

TEST_F(LocalApicTest, EndsAnInterrupt) {
  attached(false).end_of_interrupt();
  EXPECT_THAT(bus.written(kBase + kEoi), ElementsAre(0));
  attached(true).end_of_interrupt();
  EXPECT_TRUE(arch::fake::msrs.contains(kX2apicEoi));
}

TEST_F(LocalApicTest, StopsTheTimerWhenItsModeChanges) {
  attached(false).set_timer_mode(LocalApic::TimerMode::TscDeadline);
  EXPECT_THAT(bus.written(kBase + kInitialCount), ElementsAre(0));
  EXPECT_THAT(bus.written(kBase + kDivide), ElementsAre(0xb));
  EXPECT_THAT(bus.written(kBase + kLvtTimer), ElementsAre(0x4'00f1));
}

}  // namespace
}  // namespace ax::drivers
