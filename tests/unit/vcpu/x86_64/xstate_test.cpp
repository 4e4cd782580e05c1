#include "hypervisor/vcpu/x86_64/xstate.hpp"

#include <gtest/gtest.h>

#include "tests/unit/vcpu/x86_64/fake_cpuid.hpp"

namespace hv {
namespace {

using test::FakeCpuid;

FakeCpuid cpu_with_avx512() {
  FakeCpuid cpu = FakeCpuid::intel();
  test::give_xstate(cpu);
  return cpu;
}

TEST(Xstate, AcceptsOnlyTheCombinationsOfTheManual) {
  constexpr u64 kSupported = 0xe7;
  for (u64 good : {0x1, 0x3, 0x7, 0xe7}) EXPECT_TRUE(is_valid_xcr0(good, kSupported)) << good;
  for (u64 bad : {0x0, 0x2, 0x5, 0x6, 0xf, 0xe3, 0x27, 0x67, 0x207})
    EXPECT_FALSE(is_valid_xcr0(bad, kSupported)) << bad;
  EXPECT_FALSE(is_valid_xcr0(0x7, 0x3));
  EXPECT_FALSE(is_valid_xcr0(u64{1} << 63 | 1, kSupported));
}

TEST(Xstate, OffersWhatIsSwitched) {
  EXPECT_EQ(supported_xcr0(cpu_with_avx512()), 0xe7u);
  EXPECT_EQ(supported_xcr0(FakeCpuid::intel()), 0u);
  FakeCpuid half = cpu_with_avx512();
  half.leaf(0xd).eax = 0x67;
  EXPECT_EQ(supported_xcr0(half), 0x7u);
}

TEST(Xstate, SizesFollowTheComponents) {
  const FakeCpuid cpu = cpu_with_avx512();
  EXPECT_EQ(xsave_size(cpu, 0x3), 576u);
  EXPECT_EQ(xsave_size(cpu, 0x7), 832u);
  EXPECT_EQ(xsave_size(cpu, 0xe7), 2688u);
  EXPECT_EQ(xsave_compacted_size(cpu, 0x7), 832u);
  EXPECT_EQ(xsave_compacted_size(cpu, 0xe7), 2432u);
  EXPECT_EQ(xsave_compacted_size(cpu, 0x27), 896u);
  EXPECT_EQ(xsave_compacted_size(cpu, 0xa7), 1920u);  // 896 is aligned already
}

TEST(Xstate, TheLeafFollowsTheGuestsXcr0) {
  const FakeCpuid cpu = cpu_with_avx512();
  EXPECT_EQ(guest_xstate_leaf(cpu, 0x1, 0), (CpuidResult{0xe7, 576, 2688, 0}));
  EXPECT_EQ(guest_xstate_leaf(cpu, 0x7, 0), (CpuidResult{0xe7, 832, 2688, 0}));
  EXPECT_EQ(guest_xstate_leaf(cpu, 0x7, 1), (CpuidResult{0x7, 832, 0, 0}));
  EXPECT_EQ(guest_xstate_leaf(cpu, 0x7, 7), (CpuidResult{1024, 1664, 2, 0}));
  for (u32 hidden : {3u, 4u, 8u, 9u, 63u, 0xffff'ffffu})
    EXPECT_EQ(guest_xstate_leaf(cpu, 0x7, hidden), CpuidResult{}) << hidden;
}

}  // namespace
}  // namespace hv
