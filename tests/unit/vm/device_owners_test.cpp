#include "hypervisor/vm/device_owners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hv {
namespace {

using ::testing::ElementsAre;

HpaRange range(u64 base, u64 size) { return {Hpa(base), size}; }

TEST(DeviceOwners, APageHasOneOwner) {
  DeviceOwners owners;
  ASSERT_TRUE(owners.claim(0, range(0x1000, 0x2000)));
  EXPECT_EQ(owners.claim(1, range(0x2000, 0x1000)).error(), Error::Busy);
  EXPECT_TRUE(owners.claim(1, range(0x3000, 0x1000)));
  EXPECT_TRUE(owners.claim(0, range(0x1000, 0x1000))) << "its own";
}

TEST(DeviceOwners, WhatAVmHadIsFreeAfterwards) {
  DeviceOwners owners;
  ASSERT_TRUE(owners.claim(0, range(0x1000, 0x1000)));
  ASSERT_TRUE(owners.claim(1, range(0x5000, 0x1000)));
  ASSERT_TRUE(owners.claim(0, range(0x3000, 0x1000)));
  DeviceOwners::Ranges others;
  owners.of_others(1, others);
  EXPECT_THAT(others, ElementsAre(range(0x1000, 0x1000), range(0x3000, 0x1000)));
  owners.release(0);
  EXPECT_TRUE(owners.claim(1, range(0x1000, 0x3000)));
}

TEST(DeviceOwners, AFullListIsAnError) {
  DeviceOwners owners;
  for (usize i = 0; i < DeviceOwners::kMaxRanges; ++i) ASSERT_TRUE(owners.claim(0, range(i * 0x1000, 0x1000)));
  EXPECT_EQ(owners.claim(0, range(0x1000'0000, 0x1000)).error(), Error::OutOfMemory);
}

}  // namespace
}  // namespace hv
