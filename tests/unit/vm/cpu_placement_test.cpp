#include "hypervisor/vm/cpu_placement.hpp"

#include <gtest/gtest.h>

#include <array>

namespace hv {
namespace {

// CPU ids need not be small, nor in order.
constexpr std::array<u64, 4> kMachine = {0x0, 0x100, 0x1, 0x101};

VmConfig vm(std::string_view name, u32 vcpus = 1) {
  VmConfig config;
  config.name = name;
  config.cpu_count = vcpus;
  return config;
}

constexpr u64 kFirst[] = {0x0};
constexpr u64 kSecondId[] = {0x100};
constexpr u64 kSecondMask[] = {2};

TEST(CpuPlacement, AnIdNamesOneCpu) {
  VmConfig a = vm("a");
  a.phys_cpu_ids = kSecondId;
  const VmConfig vms[] = {a};
  const auto place = place_vcpu(a, 0, 0, vms, kMachine);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->cpus, 2u);
  EXPECT_EQ(place->first, 1u);
}

TEST(CpuPlacement, AMaskSaysWhereItMayRunAndTheIdWhereItBegins) {
  const u64 ids[] = {0x1}, sets[] = {0x6};
  VmConfig a = vm("a");
  a.phys_cpu_sets = sets;
  const VmConfig vms[] = {a};
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine)->first, 1u);
  a.phys_cpu_ids = ids;
  const auto place = place_vcpu(a, 0, 0, vms, kMachine);
  EXPECT_EQ(place->cpus, 6u);
  EXPECT_EQ(place->first, 2u);
}

TEST(CpuPlacement, WithoutEitherVcpusBeginOnDifferentCpus) {
  const VmConfig a = vm("a", 2), b = vm("b", 2);
  const VmConfig vms[] = {a, b};
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine)->cpus, 0xfu);
  EXPECT_EQ(place_vcpu(a, 0, 1, vms, kMachine)->first, 1u);
  EXPECT_EQ(place_vcpu(b, 1, 1, vms, kMachine)->first, 2u);
}

TEST(CpuPlacement, AMaskBeyondTheMachineIsCutAndAnEmptyOneRefused) {
  const u64 some[] = {0x30 | 8}, none[] = {0x30}, unknown[] = {0x55};
  VmConfig a = vm("a");
  a.phys_cpu_sets = some;
  const VmConfig vms[] = {a};
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine)->cpus, 8u);
  a.phys_cpu_sets = none;
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine).error().error, Error::NotFound);
  a.phys_cpu_sets = {};
  a.phys_cpu_ids = unknown;
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine).error().what, "names a CPU (phys_cpu_ids, phys_cpu_sets) that is not in use");
}

TEST(CpuPlacement, NobodyElseRunsOnAnExclusiveCpu) {
  VmConfig alone = vm("alone"), other = vm("other"), named = vm("named");
  alone.phys_cpu_ids = kSecondId;
  alone.exclusive_cpus = true;
  named.phys_cpu_sets = kSecondMask;  // the same CPU by its index, which the generator cannot know
  const VmConfig vms[] = {alone, other, named};
  EXPECT_EQ(place_vcpu(other, 1, 0, vms, kMachine)->cpus, 0xdu);
  EXPECT_EQ(place_vcpu(named, 2, 0, vms, kMachine).error().error, Error::Busy);
  EXPECT_EQ(place_vcpu(alone, 0, 0, vms, kMachine).error().what,
            "shares a CPU with another VM, and one of the two has exclusive = true");
}

TEST(CpuPlacement, AVmForWhichNoCpuIsLeftIsRefused) {
  const u64 all[] = {0xf};
  VmConfig alone = vm("alone"), other = vm("other");
  alone.phys_cpu_sets = all;
  alone.exclusive_cpus = true;
  const VmConfig vms[] = {alone, other};
  EXPECT_EQ(place_vcpu(other, 1, 0, vms, kMachine).error().what, "has no CPU left to run on: all are exclusive to other VMs");
  EXPECT_EQ(place_vcpu(alone, 0, 0, vms, kMachine)->cpus, 0xfu);
}

TEST(CpuPlacement, SharingIsAllowedWithoutExclusive) {
  VmConfig a = vm("a"), b = vm("b");
  a.phys_cpu_ids = b.phys_cpu_ids = kFirst;
  const VmConfig vms[] = {a, b};
  EXPECT_EQ(place_vcpu(a, 0, 0, vms, kMachine)->cpus, 1u);
  EXPECT_EQ(place_vcpu(b, 1, 0, vms, kMachine)->cpus, 1u);
}

// ---- scheduling ----

constexpr u64 kHz = 10'000'000;

TEST(SchedulingOf, TurnsMicrosecondsIntoTicks) {
  VmConfig a = vm("a");
  a.priority = 5;
  a.time_slice_us = 2000;
  a.budget_us = 20'000;
  const auto how = scheduling_of(a, 3, kHz, 77);
  ASSERT_TRUE(how);
  EXPECT_EQ(how->priority, 5);
  EXPECT_EQ(how->slice, 20'000u);
  EXPECT_EQ(how->budget, 200'000u);
  EXPECT_EQ(how->period, 1'000'000u) << "the default";
  EXPECT_EQ(how->cpus, 3u);
}

TEST(SchedulingOf, HasDefaults) {
  const auto how = scheduling_of(vm("a"), 1, kHz, 77);
  EXPECT_EQ(how->priority, kDefaultPriority);
  EXPECT_EQ(how->slice, 77u);
  EXPECT_EQ(how->budget, 0u);
}

TEST(SchedulingOf, ABudgetOfTheWholePeriodIsNone) {
  VmConfig a = vm("a");
  a.budget_us = a.period_us = 5000;
  EXPECT_EQ(scheduling_of(a, 1, kHz, 77)->budget, 0u);
}

TEST(SchedulingOf, RefusesWhatIsOutOfRange) {
  const auto refused = [](auto change) {
    VmConfig a = vm("a");
    change(a);
    const auto how = scheduling_of(a, 1, kHz, 77);
    return !how && how.error().error == Error::InvalidArgument;
  };
  EXPECT_TRUE(refused([](VmConfig& a) { a.priority = 8; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.time_slice_us = 99; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.time_slice_us = 1'000'001; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.budget_us = 99; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.budget_us = 100'001; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.budget_us = 6000, a.period_us = 5000; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.budget_us = 500, a.period_us = 999; }));
  EXPECT_TRUE(refused([](VmConfig& a) { a.budget_us = 500, a.period_us = 1'000'001; }));
}

}  // namespace
}  // namespace hv
