#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

// Syndromes are put together by hand from the field tables of ESR_EL2.

TEST(ExitSyndrome, SeparatesClassLengthAndImmediate) {
  constexpr ExitSyndrome hvc(0x5a00'1234);  // EC 0x16, IL
  EXPECT_EQ(hvc.exception_class(), ExceptionClass::Hvc64);
  EXPECT_EQ(hvc.instruction_length(), 4u);
  EXPECT_EQ(hvc.immediate(), 0x1234);
}

TEST(ExitSyndrome, IgnoresTheSecondSyndromeWord) {
  constexpr ExitSyndrome abort(0x1f'9200'0047);  // ISS2 all ones
  EXPECT_EQ(abort.exception_class(), ExceptionClass::DataAbortLowerEl);
  EXPECT_EQ(abort.iss(), 0x47u);
}

TEST(ExitSyndrome, Thumb16InstructionIsTwoBytesLong) {
  EXPECT_EQ(ExitSyndrome(0x4800'0000).instruction_length(), 2u);  // EC 0x12, IL clear
}

TEST(ExitSyndrome, TellsWfeFromWfi) {
  EXPECT_FALSE(ExitSyndrome(0x07e0'0000).is_wait_for_event());
  EXPECT_TRUE(ExitSyndrome(0x07e0'0001).is_wait_for_event());
}

TEST(DataAbort, DecodesWordStore) {
  // STR W5: ISV, SAS 10, SRT 5, WnR, translation fault level 3.
  constexpr DataAbort abort(0x9385'0047);
  EXPECT_TRUE(abort.has_instruction_syndrome());
  EXPECT_EQ(abort.size(), 4u);
  EXPECT_FALSE(abort.sign_extends());
  EXPECT_EQ(abort.register_index(), 5u);
  EXPECT_FALSE(abort.is_64bit());
  EXPECT_FALSE(abort.is_ordered());
  EXPECT_TRUE(abort.is_write());
  EXPECT_FALSE(abort.is_cache_maintenance());
  EXPECT_FALSE(abort.on_stage1_walk());
  EXPECT_TRUE(abort.has_address());
  EXPECT_EQ(abort.kind(), FaultKind::Translation);
}

TEST(DataAbort, DecodesSignExtendingAcquireLoad) {
  // ISV, SAS 01, SSE, SRT 30, SF, AR, access flag fault level 2.
  constexpr DataAbort abort(0x937e'c00a);
  EXPECT_EQ(abort.size(), 2u);
  EXPECT_TRUE(abort.sign_extends());
  EXPECT_EQ(abort.register_index(), 30u);
  EXPECT_TRUE(abort.is_64bit());
  EXPECT_TRUE(abort.is_ordered());
  EXPECT_FALSE(abort.is_write());
  EXPECT_EQ(abort.kind(), FaultKind::AccessFlag);
}

TEST(DataAbort, DecodesCacheMaintenanceOnStage1WalkWithoutAddress) {
  constexpr DataAbort abort(0x9200'05d0);  // FnV, CM, S1PTW, WnR, external
  EXPECT_FALSE(abort.has_instruction_syndrome());
  EXPECT_TRUE(abort.is_cache_maintenance());
  EXPECT_TRUE(abort.on_stage1_walk());
  EXPECT_TRUE(abort.is_write());
  EXPECT_FALSE(abort.has_address());
  EXPECT_EQ(abort.kind(), FaultKind::External);
}

constexpr u64 load(u64 size_code, bool sign, bool sf) {
  return u64{0x9300'0007} | size_code << 22 | u64{sign} << 21 | u64{sf} << 15;
}

TEST(DataAbort, LoadZeroExtends) {
  EXPECT_EQ(DataAbort(load(0, false, true)).loaded_value(0xffff'ffff'ffff'ff80), 0x80u);
  EXPECT_EQ(DataAbort(load(2, false, true)).loaded_value(0xffff'ffff'8000'0001), 0x8000'0001u);
  EXPECT_EQ(DataAbort(load(3, false, true)).loaded_value(0xfedc'ba98'7654'3210), 0xfedc'ba98'7654'3210u);
}

TEST(DataAbort, LoadSignExtendsTo64Bits) {
  EXPECT_EQ(DataAbort(load(0, true, true)).loaded_value(0x80), 0xffff'ffff'ffff'ff80u);
  EXPECT_EQ(DataAbort(load(2, true, true)).loaded_value(0x7fff'ffff), 0x7fff'ffffu);
}

TEST(DataAbort, LoadSignExtendsTo32BitsAndClearsTheUpperHalf) {
  EXPECT_EQ(DataAbort(load(1, true, false)).loaded_value(0x8000), 0xffff'8000u);
}

TEST(DataAbort, StoreSendsOnlyTheAccessedBytes) {
  EXPECT_EQ(DataAbort(load(1, false, false)).stored_value(0x1234'5678'9abc'def0), 0xdef0u);
  EXPECT_EQ(DataAbort(load(3, false, true)).stored_value(0x1234'5678'9abc'def0), 0x1234'5678'9abc'def0u);
}

TEST(FaultStatus, NamesEveryKind) {
  for (u32 level = 0; level < 4; ++level) {
    EXPECT_EQ(fault_kind(0x00 + level), FaultKind::AddressSize);
    EXPECT_EQ(fault_kind(0x04 + level), FaultKind::Translation);
    EXPECT_EQ(fault_kind(0x08 + level), FaultKind::AccessFlag);
    EXPECT_EQ(fault_kind(0x0c + level), FaultKind::Permission);
    EXPECT_EQ(fault_kind(0x14 + level), FaultKind::ExternalOnWalk);
    EXPECT_EQ(fault_kind(0x1c + level), FaultKind::Parity);
  }
  EXPECT_EQ(fault_kind(0x10), FaultKind::External);
  EXPECT_EQ(fault_kind(0x11), FaultKind::Other);  // synchronous tag check
  EXPECT_EQ(fault_kind(0x18), FaultKind::Parity);
  EXPECT_EQ(fault_kind(0x21), FaultKind::Alignment);
  EXPECT_EQ(fault_kind(0x30), FaultKind::TlbConflict);
  EXPECT_EQ(fault_kind(0x35), FaultKind::Other);
}

TEST(FaultStatus, NamesFaultsOfLevelMinusOne) {
  EXPECT_EQ(fault_kind(0x29), FaultKind::AddressSize);
  EXPECT_EQ(fault_kind(0x2b), FaultKind::Translation);
  EXPECT_EQ(fault_kind(0x13), FaultKind::ExternalOnWalk);
}

TEST(Abort, GuestPageOfPermissionFaultIsKnownOnlyOnStage1Walk) {
  EXPECT_FALSE(Abort(0x9200'000f).has_guest_page());
  EXPECT_TRUE(Abort(0x9200'008f).has_guest_page());
  EXPECT_TRUE(Abort(0x9200'0007).has_guest_page());
  EXPECT_FALSE(Abort(0x9200'0010).has_guest_page());
}

TEST(FaultAddress, JoinsPageAndOffset) {
  // FIPA holds IPA[51:12] from bit 4: 0x0900'0000 becomes 0x0009'0000.
  EXPECT_EQ(fault_address(0x0009'0000, 0xffff'8000'1234'5018), Gpa(0x0900'0018));
}

TEST(FaultAddress, IgnoresBitsOutsideTheAddress) {
  // Bit 63 (NS) and the reserved low bits.
  EXPECT_EQ(fault_address(0x8000'0fff'ffff'ffff, 0xfff), Gpa(0x000f'ffff'ffff'ffff));
}

TEST(SystemRegisterAccess, DecodesWrite) {
  // MSR ICC_SGI1R_EL1, x2: op0 3, op1 0, CRn 12, CRm 11, op2 5.
  constexpr SystemRegisterAccess access(0x623a'3056);
  EXPECT_EQ(access.op0(), 3u);
  EXPECT_EQ(access.op1(), 0u);
  EXPECT_EQ(access.crn(), 12u);
  EXPECT_EQ(access.crm(), 11u);
  EXPECT_EQ(access.op2(), 5u);
  EXPECT_EQ(access.register_index(), 2u);
  EXPECT_FALSE(access.is_read());
  EXPECT_EQ(access.encoding(), 0xc65du);
}

TEST(SystemRegisterAccess, DecodesReadIntoZeroRegister) {
  // MRS XZR, CNTP_CTL_EL0: op0 3, op1 3, CRn 14, CRm 2, op2 1.
  constexpr SystemRegisterAccess access(0x6232'fbe5);
  EXPECT_TRUE(access.is_read());
  EXPECT_EQ(access.register_index(), 31u);
  EXPECT_EQ(access.encoding(), system_register(3, 3, 14, 2, 1));
}

}  // namespace
}  // namespace hv
