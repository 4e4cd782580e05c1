#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/unit/vcpu/x86_64/fake_cpuid.hpp"

namespace hv {
namespace {

using test::FakeCpuid;

std::string text(std::initializer_list<u32> words) {
  std::string result;
  for (u32 word : words) result.append(reinterpret_cast<const char*>(&word), 4);
  return result;
}

bool bit(u32 word, unsigned n) { return (word >> n & 1) != 0; }

FakeCpuid everything(FakeCpuid cpu) {
  cpu.fill_with_ones();
  return cpu;
}

TEST(CpuidPolicy, ShowsTheHostsVendor) {
  const CpuidResult r = guest_cpuid(FakeCpuid::amd(), {}, 0, 0);
  EXPECT_EQ(text({r.ebx, r.edx, r.ecx}), "AuthenticAMD");
}

TEST(CpuidPolicy, HidesWhatIsNotSupported) {
  const FakeCpuid host = everything(FakeCpuid::intel());
  const CpuidResult one = guest_cpuid(host, {}, 1, 0);
  for (unsigned hidden : {2, 3, 4, 5, 6, 7, 8, 15, 18}) EXPECT_FALSE(bit(one.ecx, hidden)) << hidden;
  for (unsigned hidden : {18, 21, 22, 29, 31}) EXPECT_FALSE(bit(one.edx, hidden)) << hidden;
  const CpuidResult seven = guest_cpuid(host, {}, 7, 0);
  for (unsigned hidden : {1, 2, 4, 11, 12, 14, 15, 25}) EXPECT_FALSE(bit(seven.ebx, hidden)) << hidden;
  for (unsigned hidden : {3, 4, 5, 7, 16, 23, 29, 30}) EXPECT_FALSE(bit(seven.ecx, hidden)) << hidden;
  for (unsigned hidden : {20, 22, 24, 25, 26, 27, 28, 30, 31}) EXPECT_FALSE(bit(seven.edx, hidden)) << hidden;
  const CpuidResult extended = guest_cpuid(everything(FakeCpuid::amd()), {}, 0x8000'0001, 0);
  for (unsigned hidden : {2, 3, 9, 10, 12, 13, 15, 22, 23, 24, 28, 29}) EXPECT_FALSE(bit(extended.ecx, hidden)) << hidden;
}

TEST(CpuidPolicy, HasNoLeafWithoutARow) {
  const FakeCpuid host = everything(FakeCpuid::amd());
  for (u32 leaf : {3u, 5u, 8u, 0xau, 0xfu, 0x10u, 0x12u, 0x14u, 0x19u, 0x20u, 0x4000'0001u, 0x4000'0102u, 0x8000'000au,
                   0x8000'001eu, 0x8000'001fu, 0x8000'0026u, 0xffff'ffffu}) {
    EXPECT_EQ(guest_cpuid(host, {}, leaf, 0), CpuidResult{}) << std::hex << leaf;
  }
}

TEST(CpuidPolicy, NeverInventsAFeature) {
  FakeCpuid host = FakeCpuid::intel();
  const CpuidResult one = guest_cpuid(host, {}, 1, 0);
  EXPECT_EQ(one.ecx, 1u << 21 | 1u << 24 | 1u << 31);  // x2APIC, TSC-deadline, hypervisor
  EXPECT_EQ(one.edx, 1u << 9);                         // APIC
  EXPECT_EQ(guest_cpuid(host, {}, 7, 0), CpuidResult{});
}

TEST(CpuidPolicy, IgnoresWordsBeyondTheHostsLastLeaf) {
  FakeCpuid host = everything(FakeCpuid::intel());
  host.leaf(0).eax = 4;
  EXPECT_EQ(guest_cpuid(host, {}, 7, 0), CpuidResult{});
  EXPECT_EQ(guest_cpuid(host, {}, 0x8000'0021, 0), CpuidResult{});
}

TEST(CpuidPolicy, ReportsTheApicIdAndTheState) {
  CpuidResult r = guest_cpuid(everything(FakeCpuid::amd()), {.apic_id = 2, .cpu_count = 3, .apic_enabled = false}, 1, 0);
  EXPECT_EQ(r.ebx >> 24, 2u);
  EXPECT_EQ(r.ebx >> 16 & 0xff, 4u);
  EXPECT_FALSE(bit(r.ecx, 27)) << "CR4 knows";
  EXPECT_FALSE(bit(r.edx, 9));
  EXPECT_TRUE(bit(r.edx, 28));
  r = guest_cpuid(everything(FakeCpuid::amd()), {}, 1, 0);
  EXPECT_FALSE(bit(r.ecx, 27));
  EXPECT_FALSE(bit(r.edx, 28));
}

TEST(CpuidPolicy, DescribesOnePackageOfCores) {
  for (u32 leaf : {0xbu, 0x1fu}) {
    const CpuidGuest guest{.apic_id = 5, .cpu_count = 6};
    EXPECT_EQ(guest_cpuid(FakeCpuid::intel(), guest, leaf, 0), (CpuidResult{0, 1, 0x100, 5}));
    EXPECT_EQ(guest_cpuid(FakeCpuid::intel(), guest, leaf, 1), (CpuidResult{3, 6, 0x201, 5}));
    EXPECT_EQ(guest_cpuid(FakeCpuid::intel(), guest, leaf, 2), (CpuidResult{0, 0, 2, 5}));
  }
}

TEST(CpuidPolicy, CountsTheCoresAsAmdDoes) {
  FakeCpuid host = FakeCpuid::amd();
  host.leaf(0x8000'0008) = {0x3039, ~0u, 0x707f, ~0u};
  const CpuidResult r = guest_cpuid(host, {.cpu_count = 3}, 0x8000'0008, 0);
  EXPECT_EQ(r.ecx, 2u | 2u << 12);
  EXPECT_EQ(r.eax, 0x3039u);
  EXPECT_TRUE(bit(guest_cpuid(host, {.cpu_count = 3}, 0x8000'0001, 0).ecx, 1));
  EXPECT_FALSE(bit(guest_cpuid(host, {.cpu_count = 1}, 0x8000'0001, 0).ecx, 1));
}

TEST(CpuidPolicy, CapsLinearAddressesAtFourLevels) {
  FakeCpuid host = FakeCpuid::intel();
  host.leaf(0x8000'0008) = {0x3934, 0, 0, 0};
  EXPECT_EQ(guest_cpuid(host, {}, 0x8000'0008, 0).eax, 0x3034u);
}

TEST(CpuidPolicy, SharesOnlyTheLastCache) {
  FakeCpuid host = FakeCpuid::intel();
  host.leaf(4, 0) = {0x7c00'4121, 1, 2, 3};
  host.leaf(4, 3) = {0x7c03'c163, 1, 2, 3};
  const CpuidGuest guest{.cpu_count = 2};
  EXPECT_EQ(guest_cpuid(host, guest, 4, 0), (CpuidResult{0x0400'0121, 1, 2, 3}));
  EXPECT_EQ(guest_cpuid(host, guest, 4, 3), (CpuidResult{0x0400'4163, 1, 2, 3}));
  EXPECT_EQ(guest_cpuid(host, guest, 4, 4), CpuidResult{});
}

TEST(CpuidPolicy, TimeIsInvariantAndKnown) {
  const CpuidGuest guest{.tsc_hz = 2'100'000'000, .apic_timer_hz = 1'000'000'000};
  EXPECT_EQ(guest_cpuid(FakeCpuid::amd(), guest, 0x8000'0007, 0), (CpuidResult{0, 0, 0, 0x100}));
  EXPECT_EQ(guest_cpuid(FakeCpuid::amd(), guest, kHypervisorFrequencyLeaf, 0), (CpuidResult{2'100'000, 1'000'000, 0, 0}));
  EXPECT_EQ(guest_cpuid(FakeCpuid::intel(), guest, 0x15, 0), (CpuidResult{10, 21, 1'000'000'000, 0}));
  EXPECT_EQ(guest_cpuid(FakeCpuid::intel(), guest, 0x16, 0), (CpuidResult{2100, 2100, 0, 0}));
  EXPECT_EQ(guest_cpuid(FakeCpuid::amd(), guest, 0x15, 0), CpuidResult{});
}

TEST(CpuidPolicy, TheApicTimerNeverStops) {
  EXPECT_EQ(guest_cpuid(everything(FakeCpuid::intel()), {}, 6, 0), (CpuidResult{4, 0, 0, 0}));
}

TEST(CpuidPolicy, SpeaksAsItselfAndAsKvm) {
  CpuidResult r = guest_cpuid(FakeCpuid::amd(), {}, 0x4000'0000, 0);
  EXPECT_EQ(text({r.ebx, r.ecx, r.edx}), "AxVisorAxVis");
  EXPECT_EQ(r.eax, 0x4000'0010u);
  r = guest_cpuid(FakeCpuid::amd(), {}, 0x4000'0100, 0);
  EXPECT_EQ(text({r.ebx, r.ecx, r.edx}), (std::string("KVMKVMKVM\0\0\0", 12)));
  EXPECT_EQ(r.eax, 0x4000'0101u);
  EXPECT_EQ(guest_cpuid(FakeCpuid::amd(), {}, 0x4000'0101, 0), (CpuidResult{0x0100'002a, 0, 0, 0}));
}

TEST(CpuidPolicy, LimitsTheSubleavesOfLeaf7) {
  const FakeCpuid host = everything(FakeCpuid::intel());
  EXPECT_EQ(guest_cpuid(host, {}, 7, 0).eax, 1u);
  EXPECT_EQ(guest_cpuid(host, {}, 7, 1), (CpuidResult{0x0080'1c30, 0, 0, 0}));
  EXPECT_EQ(guest_cpuid(host, {}, 7, 2), CpuidResult{});
}

TEST(CpuidFacts, FollowTheGuestsView) {
  FakeCpuid host = FakeCpuid::amd();
  CpuidFacts facts = cpuid_facts(host);
  EXPECT_FALSE(facts.no_execute || facts.tsc_aux || facts.arch_capabilities);
  EXPECT_EQ(facts.physical_address_bits, 36);
  host.leaf(0x8000'0001).edx = 1u << 20;
  host.leaf(0x8000'0008).eax = 48;
  host.leaf(7) = {0, 0, 1u << 22, 1u << 29};
  facts = cpuid_facts(host);
  EXPECT_TRUE(facts.no_execute && facts.tsc_aux && facts.arch_capabilities);
  EXPECT_EQ(facts.physical_address_bits, 48);
}

TEST(CpuidFacts, KnowWhatOfCr4BelongsToFeaturesThatAGuestSees) {
  FakeCpuid host = FakeCpuid::amd();
  host.leaf(1) = {0, 0, 1u << 17 | 1u << 26, 1u << 3 | 1u << 6 | 1u << 13};        // PCID, XSAVE; PSE, PAE, PGE
  host.leaf(7) = {0, 1u << 7 | 1u << 20, 1u << 2 | 1u << 3 | 1u << 16, 1u << 20};  // SMEP, SMAP; UMIP, PKU, LA57; CET
  const CpuidFacts facts = cpuid_facts(host);
  EXPECT_EQ(facts.cr4, 0x36'08b0u);
}

}  // namespace
}  // namespace hv
