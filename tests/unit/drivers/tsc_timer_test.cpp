#include "kernel/drivers/tsc_timer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arch/cpuid.hpp>
#include <arch/port.hpp>

#include "kernel/drivers/hpet.hpp"
#include "kernel/drivers/pit.hpp"
#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

using ::testing::ElementsAre;

constexpr u64 kApic = 0xfee0'0000, kHpet = 0xfed0'0000;
constexpr u64 kLvtTimer = kApic + 0x320, kInitialCount = kApic + 0x380, kCurrentCount = kApic + 0x390;
constexpr u32 kTscDeadline = 0x6e0;
constexpr u32 kTscDeadlineBit = 1u << 24;

struct HostTimer : ::testing::Test {
  HostTimer() {
    arch::fake::msrs.clear();
    arch::fake::cpuid_leaves.clear();
    arch::fake::tsc = 0;
    arch::fake::tsc_step = 0;
    apic.attach(Hpa(kApic));
  }
  ~HostTimer() override {
    arch::fake::cpuid_leaves.clear();
    arch::fake::tsc_step = 0;
  }
  void has(u32 leaf, arch::CpuidResult result) { arch::fake::cpuid_leaves[{leaf, 0}] = result; }

  test::FakeBus bus;
  LocalApic apic;
};

TEST_F(HostTimer, BelievesTheCpuAboutItsCrystal) {
  has(0, {.eax = 0x16});
  has(0x15, {.eax = 2, .ebx = 176, .ecx = 24'000'000});
  EXPECT_EQ(host_timer::announced_frequencies().tsc, 2'112'000'000u);
  EXPECT_EQ(host_timer::announced_frequencies().apic_timer, 24'000'000u);
}

TEST_F(HostTimer, BelievesAHypervisorAboutItsClocks) {
  has(0, {.eax = 0xd});
  has(1, {.ecx = 1u << 31});
  has(0x4000'0000, {.eax = 0x4000'0010});
  has(0x4000'0010, {.eax = 2'500'000, .ebx = 1'000'000});
  EXPECT_EQ(host_timer::announced_frequencies().tsc, 2'500'000'000u);
  EXPECT_EQ(host_timer::announced_frequencies().apic_timer, 1'000'000'000u);
  has(0x4000'0000, {.eax = 0x4000'0001});
  EXPECT_EQ(host_timer::announced_frequencies().tsc, 0u);
}

TEST_F(HostTimer, DoesNotBelieveHalfAnAnswer) {
  has(0, {.eax = 0x16});
  has(0x15, {.eax = 2, .ebx = 176, .ecx = 0});
  EXPECT_EQ(host_timer::announced_frequencies().tsc, 0u);
}

TEST_F(HostTimer, MeasuresAgainstTheHpet) {
  bus.values[kHpet + 4] = 10'000'000;  // femtoseconds: 100 MHz
  // One HPET tick is 25 TSC ticks and 10 APIC ticks; reading the HPET takes 4 of its ticks.
  u64 hpet = 0xffff'ff00;  // wraps meanwhile
  bus.on_read[kHpet + 0xf0] = [&] {
    hpet += 4;
    arch::fake::tsc += 100;
    return hpet & 0xffff'ffff;
  };
  bus.on_read[kCurrentCount] = [&] { return 0xffff'ffff - (hpet - 0xffff'ff00) * 10; };
  Hpet clock{Hpa(kHpet)};
  const auto measured = host_timer::measure_frequencies(clock, apic);
  ASSERT_TRUE(measured);
  EXPECT_NEAR(static_cast<double>(measured->tsc), 2.5e9, 2.5e6);
  EXPECT_NEAR(static_cast<double>(measured->apic_timer), 1e9, 1e6);
  EXPECT_THAT(bus.written(kHpet + 0x10), ElementsAre(1));
  EXPECT_EQ(bus.written(kLvtTimer).back() & 0x1'0000, 0x1'0000u);  // no interrupt from the measurement
  EXPECT_EQ(bus.written(kInitialCount).back(), 0u);
}

TEST_F(HostTimer, TakesTheSampleThatWasLeastDisturbed) {
  bus.values[kHpet + 4] = 10'000'000;
  u64 hpet = 0;
  unsigned reads = 0;
  bus.on_read[kHpet + 0xf0] = [&] {
    ++hpet;
    const u64 value = hpet;
    // Most reads are followed by a long pause, which the TSC sees and the value read does not.
    const u64 pause = ++reads % 4 == 0 ? 0 : 10'000;
    hpet += pause;
    arch::fake::tsc += 25 * (1 + pause);
    return value;
  };
  Hpet clock{Hpa(kHpet)};
  const auto measured = host_timer::measure_frequencies(clock, apic);
  ASSERT_TRUE(measured);
  EXPECT_NEAR(static_cast<double>(measured->tsc), 2.5e9, 2.5e6);
}

TEST_F(HostTimer, RefusesAnHpetThatIsNoneOrStandsStill) {
  Hpet none{Hpa(kHpet)};
  EXPECT_FALSE(host_timer::measure_frequencies(none, apic));
  bus.values[kHpet + 4] = 10'000'000;
  bus.on_read[kHpet + 0xf0] = [&]() -> u64 {
    bus.reads.clear();
    return 5;
  };
  EXPECT_FALSE(host_timer::measure_frequencies(none, apic));
}

TEST_F(HostTimer, MeasuresAgainstThePit) {
  constexpr u64 kChannel2 = arch::fake::kPorts + 0x42, kControl = arch::fake::kPorts + 0x61;
  bus.values[kControl] = 0x3e;
  u64 ticks = 0;
  bool high = false;
  bus.on_read[kChannel2] = [&]() -> u64 {
    if (!high) {
      ticks += 2;
      arch::fake::tsc += 2000;
    }
    high = !high;
    const u64 left = 0xffff - ticks;
    return high ? left & 0xff : left >> 8;
  };
  Pit clock;
  const auto measured = host_timer::measure_frequencies(clock, apic);
  ASSERT_TRUE(measured);
  EXPECT_NEAR(static_cast<double>(measured->tsc), 1.193182e9, 2e6);
  EXPECT_THAT(bus.written(kControl), ElementsAre(0x3d));  // gate on, speaker off, the rest kept
}

TEST_F(HostTimer, SetsAbsoluteDeadlinesWhereTheCpuTakesThem) {
  has(1, {.ecx = kTscDeadlineBit});
  host_timer::init(apic, {.tsc = 1'000'000'000});
  host_timer::init_cpu();
  EXPECT_EQ(bus.written(kLvtTimer).back(), 0x4'00f1u);
  host_timer::set_deadline(12345);
  EXPECT_EQ(arch::fake::msrs[kTscDeadline], 12345u);
  host_timer::set_deadline(0);  // 0 would disarm the timer
  EXPECT_EQ(arch::fake::msrs[kTscDeadline], 1u);
  host_timer::cancel_deadline();
  EXPECT_EQ(arch::fake::msrs[kTscDeadline], 0u);
}

TEST_F(HostTimer, CountsDownToADeadlineElsewhereAndNeverFiresEarly) {
  host_timer::init(apic, {.tsc = 3'000'000'000, .apic_timer = 1'000'000'000});
  host_timer::init_cpu();
  EXPECT_EQ(bus.written(kLvtTimer).back(), 0x00f1u);
  arch::fake::tsc = 1000;
  host_timer::set_deadline(1000 + 3000);
  EXPECT_GE(bus.written(kInitialCount).back(), 1000u);
  EXPECT_LE(bus.written(kInitialCount).back(), 1001u);
  host_timer::set_deadline(500);  // has passed: at once
  EXPECT_EQ(bus.written(kInitialCount).back(), 1u);
  host_timer::set_deadline(~u64{0});  // further than the timer counts
  EXPECT_EQ(bus.written(kInitialCount).back(), 0xffff'ffffu);
  host_timer::cancel_deadline();
  EXPECT_EQ(bus.written(kInitialCount).back(), 0u);
}

TEST_F(HostTimer, RepeatsUntilThereIsAnotherDeadlineOrNone) {
  host_timer::init(apic, {.tsc = 3'000'000'000, .apic_timer = 1'000'000'000});
  host_timer::init_cpu();
  host_timer::repeat();
  EXPECT_EQ(bus.written(kLvtTimer).back(), 0x2'00f1u);
  arch::fake::tsc = 1000;
  host_timer::set_deadline(1000 + 300'000);
  EXPECT_EQ(bus.written(kInitialCount).back() / 10, 100'000u / 10);
  host_timer::set_deadline(1000 + 30);  // no machine could keep up with that
  EXPECT_EQ(bus.written(kInitialCount).back(), 20'000u);
  host_timer::cancel_deadline();
  EXPECT_EQ(bus.written(kInitialCount).back(), 0u);
  host_timer::init(apic, {.tsc = 3'000'000'000, .apic_timer = 1'000'000'000});
  host_timer::init_cpu();
  host_timer::set_deadline(0);
  EXPECT_EQ(bus.written(kInitialCount).back(), 1u) << "unless it is told to";
}

TEST_F(HostTimer, CannotRepeatAbsoluteDeadlines) {
  has(1, {.ecx = kTscDeadlineBit});
  host_timer::init(apic, {.tsc = 1'000'000'000});
  host_timer::init_cpu();
  host_timer::repeat();
  EXPECT_EQ(bus.written(kLvtTimer).back(), 0x4'00f1u);
}

}  // namespace
}  // namespace ax::drivers
