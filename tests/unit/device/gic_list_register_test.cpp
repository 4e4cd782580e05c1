#include "kernel/drivers/gic_list_register.hpp"

#include <gtest/gtest.h>

namespace ax {
namespace {

using State = ListRegisterState;

constexpr ListRegisterFields kTimer{
    .virtual_id = 27, .physical_id = 27, .priority = 0xa0, .group1 = true, .state = State::Pending, .hardware = true};
constexpr ListRegisterFields kUart{
    .virtual_id = 33, .priority = 0x80, .group1 = true, .state = State::PendingActive, .maintenance = true};

// Expected values are put together by hand from the register figures of IHI 0069 and IHI 0048.
TEST(ListRegister, EncodesHardwareInterruptForGicV3) {
  // State 01, HW 1, Group 1, priority a0, pINTID 27, vINTID 27.
  EXPECT_EQ(ListRegister::pack(kTimer).to_ich(), 0x70a0'001b'0000'001bu);
}

TEST(ListRegister, EncodesSoftwareInterruptWithMaintenanceRequestForGicV3) {
  // State 11, HW 0, Group 1, priority 80, EOI (bit 41), vINTID 33.
  EXPECT_EQ(ListRegister::pack(kUart).to_ich(), 0xd080'0200'0000'0021u);
}

TEST(ListRegister, EncodesHardwareInterruptForGicV2) {
  // HW 1, Grp1 1, State 01, priority 10100, PhysicalID 27, VirtualID 27.
  EXPECT_EQ(ListRegister::pack(kTimer).to_gich(), 0xda00'6c1bu);
}

TEST(ListRegister, EncodesSoftwareInterruptWithMaintenanceRequestForGicV2) {
  // HW 0, Grp1 1, State 11, priority 10000, EOI (bit 19), VirtualID 33.
  EXPECT_EQ(ListRegister::pack(kUart).to_gich(), 0x7808'0021u);
}

TEST(ListRegister, EncodesSgiSourceForGicV2) {
  constexpr auto sgi = ListRegister::pack({.virtual_id = 2, .source_cpu = 5, .priority = 0x08, .state = State::Active});
  // State 10, priority 00001, CPUID 5 (bits 12:10), VirtualID 2.
  EXPECT_EQ(sgi.to_gich(), 0x2080'1402u);
  EXPECT_EQ(sgi.source_cpu(), 5);
}

TEST(ListRegister, HardwareFormHasNeitherSourceNorMaintenanceRequest) {
  // PhysicalID 0x3ff has every bit of the CPUID and EOI fields set.
  constexpr auto lr =
      ListRegister::pack({.virtual_id = 40, .physical_id = 0x3ff, .state = State::Active, .hardware = true});
  EXPECT_EQ(lr.source_cpu(), 0);
  EXPECT_FALSE(lr.maintenance());
  EXPECT_EQ(lr.physical_id(), 0x3ffu);
}

TEST(ListRegister, SurvivesRoundTripsThroughBothLayouts) {
  for (const auto& fields :
       {kTimer, kUart,
        ListRegisterFields{.virtual_id = 15, .source_cpu = 7, .priority = 0xf8, .state = State::Pending}}) {
    const auto lr = ListRegister::pack(fields);
    EXPECT_EQ(lr.unpack(), fields);
    EXPECT_EQ(ListRegister::from_ich(lr.to_ich()).unpack(), fields);
    EXPECT_EQ(ListRegister::from_gich(lr.to_gich()).unpack(), fields);
  }
}

TEST(ListRegister, KeepsLpiNumbersForGicV3) {
  constexpr auto lr = ListRegister::pack({.virtual_id = 8192, .state = State::Pending});
  EXPECT_EQ(lr.virtual_id(), 8192u);
}

}  // namespace
}  // namespace ax
