#include "kernel/drivers/gic_virtual.hpp"

#include <arch/sysreg.hpp>
#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

constexpr u64 kGich = 0x803'0000;

GicVirtualInterface version_3(u64 ich_vtr) {
  arch::fake::registers.clear();
  arch::fake::registers["ich_vtr_el2"] = ich_vtr;
  GicVirtualInterface interface;
  interface.attach({.version = 3});
  return interface;
}

TEST(GicVirtualInterface, ReadsItsSizeFromTheTypeRegister) {
  const GicVirtualInterface interface = version_3(0x9008'0003);  // 5 priority bits, 5 preemption bits, TDS, 4 list registers
  EXPECT_EQ(interface.list_register_count(), 4u);
  EXPECT_EQ(interface.priority_bits(), 5u);
  EXPECT_TRUE(interface.can_trap_deactivate());
}

TEST(GicVirtualInterface, ReachesEveryListRegisterOfAVersion3) {
  const GicVirtualInterface interface = version_3(0x9000'000f);
  for (unsigned i = 0; i < 16; ++i) interface.write(i, ListRegister(100 + i));
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(arch::fake::registers["ich_lr" + std::to_string(i) + "_el2"], 100 + i);
    EXPECT_EQ(interface.read(i), ListRegister(100 + i));
  }
}

TEST(GicVirtualInterface, KeepsAsManyActivePriorityRegistersAsThereArePreemptionBits) {
  const GicVirtualInterface interface = version_3(0xd800'0003);  // 7 of each: four registers per group
  arch::fake::registers["ich_vmcr_el2"] = 0x12;
  arch::fake::registers["ich_ap0r0_el2"] = 1;
  arch::fake::registers["ich_ap1r3_el2"] = 4;
  VirtualInterfaceState state;
  interface.save(state);
  EXPECT_EQ(state.vmcr, 0x12u);
  EXPECT_EQ(state.apr0[0], 1u);
  EXPECT_EQ(state.apr1[3], 4u);

  const GicVirtualInterface small = version_3(0x9000'0003);
  arch::fake::registers["ich_ap1r1_el2"] = 4;
  VirtualInterfaceState small_state;
  small.save(small_state);
  EXPECT_EQ(small_state.apr1[1], 0u) << "the register does not exist with five preemption bits";
}

TEST(GicVirtualInterface, ConvertsListRegistersOfAVersion2) {
  test::FakeBus bus;
  bus.values[kGich + 4] = 0x9000'0003;
  GicVirtualInterface interface;
  interface.attach({.version = 2, .hypervisor_interface = {Hpa(kGich), 0x1000}});
  EXPECT_EQ(interface.list_register_count(), 4u);
  EXPECT_FALSE(interface.can_trap_deactivate());
  const ListRegister timer = ListRegister::pack(
      {.virtual_id = 27, .physical_id = 27, .priority = 0xa0, .state = ListRegisterState::Pending, .hardware = true});
  interface.write(2, timer);
  EXPECT_EQ(bus.values[kGich + 0x108], timer.to_gich());
  EXPECT_EQ(interface.read(2), timer);
}

}  // namespace
}  // namespace ax::drivers
