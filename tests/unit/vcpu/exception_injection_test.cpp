#include "hypervisor/vcpu/aarch64/exception_injection.hpp"

#include <gtest/gtest.h>

namespace hv {
namespace {

constexpr u64 kSpan = 0x0080'0000;   // SCTLR_EL1 bit 23
constexpr u64 kDssbs = u64{1} << 44;
constexpr DataAbort kReadFault(0x9385'0007);   // LDR, stage 2 translation fault level 3
constexpr DataAbort kWriteFault(0x9385'0047);  // STR
constexpr InstructionAbort kFetchFault(0x8200'0007);

constexpr InterruptedState from(u64 pstate) {
  return {.pc = 0x4008'1234, .pstate = pstate, .vbar_el1 = 0xffff'8000'0801'0800, .sctlr_el1 = kSpan};
}

TEST(ExceptionInjection, UndefinedInstructionFromEl1h) {
  const InjectedException expected{.pc = 0xffff'8000'0801'0a00,
                                   .pstate = 0x3c5,
                                   .elr_el1 = 0x4008'1234,
                                   .spsr_el1 = 0x5,
                                   .esr_el1 = 0x0200'0000,
                                   .far_el1 = std::nullopt};
  EXPECT_EQ(inject_undefined(from(0x5)), expected);
}

TEST(ExceptionInjection, VectorFollowsTheInterruptedLevelAndStackPointer) {
  EXPECT_EQ(inject_undefined(from(0x4)).pc, 0xffff'8000'0801'0800u);   // EL1t
  EXPECT_EQ(inject_undefined(from(0x5)).pc, 0xffff'8000'0801'0a00u);   // EL1h
  EXPECT_EQ(inject_undefined(from(0x0)).pc, 0xffff'8000'0801'0c00u);   // EL0, AArch64
  EXPECT_EQ(inject_undefined(from(0x10)).pc, 0xffff'8000'0801'0e00u);  // User mode, AArch32
}

TEST(ExceptionInjection, VectorBaseIgnoresItsReservedBits) {
  auto state = from(0x5);
  state.vbar_el1 = 0x1fff;
  EXPECT_EQ(inject_undefined(state).pc, 0x1a00u);
}

TEST(ExceptionInjection, DataAbortFromSameLevel) {
  const auto read = inject_data_abort(from(0x5), kReadFault, 0x0d00'0010);
  EXPECT_EQ(read.esr_el1, 0x9600'0010u);
  EXPECT_EQ(read.far_el1, 0x0d00'0010u);
  EXPECT_EQ(read.elr_el1, 0x4008'1234u);
  EXPECT_EQ(inject_data_abort(from(0x4), kWriteFault, 0).esr_el1, 0x9600'0050u);
}

TEST(ExceptionInjection, DataAbortFromLowerLevel) {
  EXPECT_EQ(inject_data_abort(from(0x0), kWriteFault, 0).esr_el1, 0x9200'0050u);
  EXPECT_EQ(inject_data_abort(from(0x10), kReadFault, 0).esr_el1, 0x9200'0010u);
}

TEST(ExceptionInjection, DataAbortOfCacheMaintenanceSaysSo) {
  EXPECT_EQ(inject_data_abort(from(0x5), DataAbort(0x9200'0147), 0).esr_el1, 0x9600'0150u);
}

TEST(ExceptionInjection, AbortWithoutAddressLeavesTheAddressRegister) {
  const auto exception = inject_data_abort(from(0x5), DataAbort(0x9200'0410), 0x1000);
  EXPECT_EQ(exception.esr_el1, 0x9600'0410u);
  EXPECT_EQ(exception.far_el1, std::nullopt);
}

TEST(ExceptionInjection, InstructionAbort) {
  const auto same = inject_instruction_abort(from(0x5), kFetchFault, 0xdead'0000);
  EXPECT_EQ(same.esr_el1, 0x8600'0010u);
  EXPECT_EQ(same.far_el1, 0xdead'0000u);
  EXPECT_EQ(inject_instruction_abort(from(0x0), kFetchFault, 0).esr_el1, 0x8200'0010u);
  EXPECT_EQ(inject_instruction_abort(from(0x10), kFetchFault, 0).esr_el1, 0x8200'0010u);
}

TEST(ExceptionInjection, HandlerRunsWithoutTheStateThatEntryClears) {
  // All of N Z C V, TCO, DIT, UAO, PAN, SS, IL, SSBS and BTYPE set, interrupts open.
  const auto exception = inject_undefined(from(0xf3f0'1c05));
  EXPECT_EQ(exception.pstate, 0xf140'03c5u);  // flags, DIT and PAN stay
  EXPECT_EQ(exception.spsr_el1, 0xf3f0'1c05u);
}

TEST(ExceptionInjection, HandlerDoesNotInheritAarch32State) {
  // Q, IT, GE, E, T; Thumb user mode.
  const auto exception = inject_undefined(from(0x0e0f'fe30));
  EXPECT_EQ(exception.pstate, 0x3c5u);
  EXPECT_EQ(exception.spsr_el1, 0x0e0f'fe30u);
}

TEST(ExceptionInjection, ClearSpanSetsPan) {
  auto state = from(0x5);
  state.sctlr_el1 = 0;
  EXPECT_EQ(inject_undefined(state).pstate, 0x0040'03c5u);
}

TEST(ExceptionInjection, DssbsDecidesSpeculativeStoreBypass) {
  auto state = from(0x5);
  state.sctlr_el1 = kSpan | kDssbs;
  EXPECT_EQ(inject_undefined(state).pstate, 0x13c5u);
}

}  // namespace
}  // namespace hv
