#include "kernel/drivers/pci_ecam.hpp"

#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

constexpr acpi::PciSegment kSegment{
    .registers = {Hpa(0xb010'0000), 2_MiB}, .segment = 3, .first_bus = 1, .last_bus = 2};

TEST(PciEcam, PlacesFunctionsAsTheSpecificationSays) {
  const PciEcam ecam(kSegment);
  const auto registers = ecam.registers_of({.segment = 3, .bus = 2, .device = 31, .function = 7});
  ASSERT_TRUE(registers);
  EXPECT_EQ(*registers, (HpaRange{Hpa(0xb01f'f000 + 1_MiB), 4_KiB}));
  EXPECT_TRUE(kSegment.registers.contains(*registers));
}

TEST(PciEcam, ReadsAndWritesEveryWidth) {
  test::FakeBus bus;
  const PciEcam ecam(kSegment);
  const PciFunction function{.segment = 3, .bus = 1, .device = 2};
  ASSERT_TRUE(ecam.write(function, 0xffc, 4, 0x1234'5678));
  ASSERT_TRUE(ecam.write(function, 2, 2, 0xabcd));
  ASSERT_TRUE(ecam.write(function, 1, 1, 0xef));
  const std::vector<test::Access> expected{
      {0xb011'0ffc, 4, 0x1234'5678}, {0xb011'0002, 2, 0xabcd}, {0xb011'0001, 1, 0xef}};
  EXPECT_EQ(bus.writes, expected);
  EXPECT_EQ(ecam.read(function, 0xffc, 4), 0x1234'5678u);
  EXPECT_EQ(ecam.read(function, 2, 2), 0xabcdu);
  EXPECT_EQ(ecam.read(function, 1, 1), 0xefu);
}

TEST(PciEcam, RefusesWhatIsNotInTheSegment) {
  test::FakeBus bus;
  const PciEcam ecam(kSegment);
  for (const PciFunction& stranger : {PciFunction{.segment = 0, .bus = 1},
                                      {.segment = 3, .bus = 0},
                                      {.segment = 3, .bus = 3},
                                      {.segment = 3, .bus = 1, .device = 32},
                                      {.segment = 3, .bus = 1, .device = 0, .function = 8}}) {
    EXPECT_EQ(ecam.read(stranger, 0, 4).error(), Error::OutOfRange);
  }
  const PciFunction function{.segment = 3, .bus = 1};
  EXPECT_EQ(ecam.read(function, 4096, 1).error(), Error::OutOfRange);
  EXPECT_EQ(ecam.read(function, 2, 4).error(), Error::InvalidArgument);
  EXPECT_EQ(ecam.write(function, 0, 8, 0).error(), Error::InvalidArgument);
  EXPECT_TRUE(bus.reads.empty() && bus.writes.empty());
}

}  // namespace
}  // namespace ax::drivers
