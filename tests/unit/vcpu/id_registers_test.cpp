#include "hypervisor/vcpu/aarch64/id_registers.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

constexpr u64 kEverything = ~u64{0};

constexpr u32 id(u32 crm, u32 op2) { return system_register(3, 0, 0, crm, op2); }
constexpr u32 kPfr0 = id(4, 0), kPfr1 = id(4, 1), kDfr0 = id(5, 0);
constexpr u32 kIsar0 = id(6, 0), kIsar1 = id(6, 1), kIsar2 = id(6, 2);
constexpr u32 kMmfr0 = id(7, 0), kMmfr1 = id(7, 1), kMmfr2 = id(7, 2);

/// A host value with `value` in the field at bit `low` and zeros elsewhere.
u64 guest_field(u32 encoding, unsigned low, u64 value, u8 gic = 3) {
  return guest_id_value(encoding, value << low, gic) >> low & 0xf;
}

// Host values are those of the processors' technical reference manuals; expected ones follow field by field.

TEST(IdRegisters, CortexA53) {
  EXPECT_EQ(guest_id_value(kPfr0, 0x0100'2222, 3), 0x0100'0012u);  // EL3, EL2 gone; EL1 AArch64 only
  EXPECT_EQ(guest_id_value(kPfr0, 0x0100'2222, 2), 0x0000'0012u);
  EXPECT_EQ(guest_id_value(kDfr0, 0x1030'5106, 3), 0x0010'1006u);
  EXPECT_EQ(guest_id_value(kIsar0, 0x0001'1120, 3), 0x0001'1120u);
  EXPECT_EQ(guest_id_value(kMmfr0, 0x0000'1122, 3), 0x0000'0122u);
}

TEST(IdRegisters, CortexA72) {
  EXPECT_EQ(guest_id_value(kMmfr0, 0x0000'1124, 3), 0x0000'0124u);
  EXPECT_EQ(guest_id_value(id(1, 0), 0x0000'0131, 3), 0x0000'0131u);
  EXPECT_EQ(guest_id_value(id(1, 1), 0x1001'1011, 3), 0x1001'0000u);
  EXPECT_EQ(guest_id_value(id(1, 1), 0x1001'1011, 2), 0x0001'0000u);
  EXPECT_EQ(guest_id_value(id(1, 2), 0x0301'0066, 3), 0x0000'0006u);
}

TEST(IdRegisters, NeoverseN1) {
  EXPECT_EQ(guest_id_value(kPfr0, 0x1100'0000'1111'1112, 3), 0x1100'0000'0111'0012u);
  EXPECT_EQ(guest_id_value(kPfr1, 0x0000'0020, 3), 0x0000'0020u);
  EXPECT_EQ(guest_id_value(kIsar0, 0x0000'1000'1021'1120, 3), 0x0000'1000'1021'1120u);
  EXPECT_EQ(guest_id_value(kIsar1, 0x0000'0000'0010'0001, 3), 0x0010'0001u);
  EXPECT_EQ(guest_id_value(kMmfr0, 0x0000'0000'0010'1125, 3), 0x0010'0125u);
  EXPECT_EQ(guest_id_value(kMmfr1, 0x1021'2122, 3), 0x0020'2002u);  // VMIDBits, VH, LO, XNX gone
  EXPECT_EQ(guest_id_value(kMmfr2, 0x1011, 3), 0x0011u);            // IESB gone
}

TEST(IdRegisters, ProcessorWithEverythingShowsOnlyTheAllowList) {
  EXPECT_EQ(guest_id_value(kPfr0, kEverything, 3), 0xf10f'0000'01ff'001fu);
  EXPECT_EQ(guest_id_value(kPfr1, kEverything, 3), 0x21u);
  EXPECT_EQ(guest_id_value(kDfr0, kEverything, 3), 0x0010'1006u);
  EXPECT_EQ(guest_id_value(kIsar0, kEverything, 3), 0xf22f'ffff'f0ff'fff0u);
  EXPECT_EQ(guest_id_value(kIsar1, kEverything, 3), 0x0fff'12ff'003f'f002u);
  EXPECT_EQ(guest_id_value(kIsar2, kEverything, 3), 0x00ff'0f00'f0f0'00f0u);
  EXPECT_EQ(guest_id_value(kMmfr0, kEverything, 3), 0x1000'f000'ff1f'0ff5u);
  EXPECT_EQ(guest_id_value(kMmfr1, kEverything, 3), 0xffff'f0f0'0f30'2002u);
  EXPECT_EQ(guest_id_value(kMmfr2, kEverything, 3), 0xf0ff'001f'f0f1'0fffu);
}

TEST(IdRegisters, ReservedAndUnlistedRegistersReadAsZero) {
  for (const u32 encoding : {id(1, 3) /* ID_AFR0 */, id(3, 3), id(3, 5) /* ID_DFR1 */, id(3, 7), id(4, 2) /* PFR2 */,
                             id(4, 4) /* ZFR0 */, id(4, 5) /* SMFR0 */, id(4, 7) /* FPFR0 */, id(5, 1) /* DFR1 */,
                             id(5, 4) /* AFR0 */, id(5, 5) /* AFR1 */, id(6, 3) /* ISAR3 */, id(7, 3) /* MMFR3 */,
                             id(7, 4) /* MMFR4 */, id(7, 7)}) {
    EXPECT_EQ(guest_id_value(encoding, kEverything, 3), 0u) << std::hex << encoding;
  }
}

TEST(IdRegisters, EmulatedDebugDoesNotDependOnTheHost) { EXPECT_EQ(guest_id_value(kDfr0, 0, 3), 0x0010'1006u); }

TEST(IdRegisters, HidesAddressesBeyond48Bits) {
  EXPECT_EQ(guest_field(kMmfr0, 0, 6), 5u);
  EXPECT_EQ(guest_field(kMmfr0, 0, 5), 5u);
  EXPECT_EQ(guest_field(kMmfr0, 0, 1), 1u);
  EXPECT_EQ(guest_field(kMmfr0, 20, 2), 1u);  // TGran16
}

TEST(IdRegisters, GranuleThatIsNotImplementedStaysSo) {
  EXPECT_EQ(guest_field(kMmfr0, 28, 0xf), 0xfu);  // TGran4
  EXPECT_EQ(guest_field(kMmfr0, 28, 1), 0u);
  EXPECT_EQ(guest_field(kMmfr0, 24, 0xf), 0xfu);  // TGran64
  EXPECT_EQ(guest_field(kMmfr0, 20, 0), 0u);      // TGran16
}

TEST(IdRegisters, MissingFloatingPointStaysMissing) {
  EXPECT_EQ(guest_field(kPfr0, 16, 0xf), 0xfu);
  EXPECT_EQ(guest_field(kPfr0, 20, 0xf), 0xfu);
}

TEST(IdRegisters, HidesContextNumbersOfBranchPrediction) {
  EXPECT_EQ(guest_field(kPfr0, 56, 2), 1u);
  EXPECT_EQ(guest_field(kPfr0, 56, 0), 0u);
  EXPECT_EQ(guest_field(kPfr1, 32, 1), 0u);
}

TEST(IdRegisters, PassesAarch32InstructionSets) {
  for (const u32 encoding : {id(1, 4), id(1, 5), id(1, 6), id(1, 7), id(2, 0), id(2, 1), id(2, 2), id(2, 3), id(2, 4),
                             id(2, 5), id(2, 7), id(3, 0), id(3, 1), id(3, 2), id(3, 6)}) {
    EXPECT_EQ(guest_id_value(encoding, 0xffff'ffff'1234'5678, 3), 0x1234'5678u) << std::hex << encoding;
  }
}

TEST(IdRegisters, HidesHypervisorFieldsOfAarch32) {
  EXPECT_EQ(guest_id_value(id(2, 6), kEverything, 3), 0x0fff'f0ffu);  // ID_MMFR4: EVT, XNX
  EXPECT_EQ(guest_id_value(id(1, 0), kEverything, 3), 0x0f01'ffffu);  // ID_PFR0: RAS, AMU; CSV2
  EXPECT_EQ(guest_id_value(id(3, 4), kEverything, 3), 0xffu);         // ID_PFR2: RAS_frac
  EXPECT_EQ(guest_id_value(id(1, 2), kEverything, 3), 0x6u);
}

TEST(IdRegisters, SpaceIsThatOfTid3) {
  EXPECT_FALSE(is_id_register(system_register(3, 0, 0, 0, 7)));
  EXPECT_TRUE(is_id_register(id(1, 0)));
  EXPECT_TRUE(is_id_register(id(7, 7)));
  EXPECT_FALSE(is_id_register(system_register(3, 0, 0, 8, 0)));
  EXPECT_FALSE(is_id_register(system_register(3, 0, 1, 0, 0)));
  EXPECT_FALSE(is_id_register(system_register(3, 1, 0, 1, 0)));
}

}  // namespace
}  // namespace hv
