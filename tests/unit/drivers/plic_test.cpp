#include "kernel/drivers/plic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

using ::testing::ElementsAre;

constexpr u64 kBase = 0xc00'0000;
// The second CPU's registers for context 3, from the specification's memory map.
constexpr u64 kEnableWord1 = kBase + 0x2180 + 4, kThreshold = kBase + 0x20'3000, kClaim = kBase + 0x20'3004;

class PlicTest : public ::testing::Test {
 protected:
  PlicTest() { plic.attach({.registers = {Hpa(kBase), 0x60'0000}, .sources = 96}, cpus); }

  test::FakeBus bus;
  const std::array<CpuInfo, 2> cpus{{{.hardware_id = 5, .plic_context = 1}, {.hardware_id = 4, .plic_context = 3}}};
  Plic plic;
};

TEST_F(PlicTest, StartsWithEverySourceOffAndEveryPriorityTaken) {
  bus.values[kThreshold] = 7;
  plic.init_cpu(1);
  EXPECT_EQ(bus.writes.size(), 5u);  // 97 numbers are four words
  for (u64 word = 0; word < 4; ++word) EXPECT_THAT(bus.written(kBase + 0x2180 + 4 * word), ElementsAre(0));
  EXPECT_EQ(bus.values[kThreshold], 0u);
}

TEST_F(PlicTest, DeliversASourceToTheContextOfItsCpu) {
  bus.values[kEnableWord1] = 1;
  plic.enable(33, 1);
  EXPECT_EQ(bus.values[kBase + 33 * 4], 1u);
  EXPECT_EQ(bus.values[kEnableWord1], 0b11u);
  plic.disable(33, 1);
  EXPECT_EQ(bus.values[kEnableWord1], 1u);
}

TEST_F(PlicTest, HandsTheClaimedSourceBack) {
  bus.on_read[kClaim] = [] { return 10; };
  EXPECT_EQ(plic.claim(1), 10u);
  plic.complete(1, 10);
  EXPECT_THAT(bus.written(kClaim), ElementsAre(10));
}

}  // namespace
}  // namespace ax::drivers
