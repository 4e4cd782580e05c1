#include "hypervisor/vcpu/x86_64/msr_policy.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace hv {
namespace {

class FakeHost final : public MsrHost {
 public:
  u64 read_register(u32 index) override { return registers[index]; }
  void write_register(u32 index, u64 value) override { registers[index] = value; }
  bool paging_enabled() override { return paging; }
  u64 read_tsc() override { return tsc; }
  void write_tsc(u64 value) override { tsc = value; }
  std::optional<u64> read_apic(u32 index) override { return index == 0x8ff ? std::nullopt : std::optional<u64>(index); }
  bool write_apic(u32 index, u64) override { return index != 0x8ff; }
  u64 host_arch_capabilities() override { return ~u64{0}; }
  void clock_changed(u32 index) override { clock.push_back(index); }

  std::map<u32, u64> registers;
  std::vector<u32> clock;
  u64 tsc = 77;
  bool paging = false;
};

class MsrPolicy : public ::testing::Test {
 protected:
  std::optional<u64> read(u32 index) { return read_msr({host_, state_, facts_}, index); }
  bool write(u32 index, u64 value) { return write_msr({host_, state_, facts_}, index, value); }

  FakeHost host_;
  MsrState state_;
  CpuidFacts facts_{.no_execute = true, .tsc_aux = true, .arch_capabilities = true, .physical_address_bits = 40};
};

TEST_F(MsrPolicy, FaultsWithoutARow) {
  // The first and last of each range, P5, performance counters, VMX, machine check banks, SVM, TSC_ADJUST, XSS,
  // SPEC_CTRL, hidden KVM MSRs.
  for (u32 index : {0u,           1u,           0x11u,        0x12u,        0x3bu,        0x48u,       0x49u,
                    0xc1u,        0x186u,       0x210u,       0x251u,       0x25au,       0x267u,      0x270u,
                    0x38fu,       0x400u,       0x480u,       0x7ffu,       0x900u,       0xda0u,      0x4b56'4d02u,
                    0x4b56'4d04u, 0xc000'0085u, 0xc000'0104u, 0xc001'0008u, 0xc001'0117u, 0xffff'ffffu}) {
    EXPECT_FALSE(read(index)) << std::hex << index;
    EXPECT_FALSE(write(index, 0)) << std::hex << index;
  }
}

TEST_F(MsrPolicy, AnswersWhatLinuxReadsWithoutExpectingAFault) {
  for (u32 index : {0x10u,        0x17u,        0x1bu,        0x3au,        0x8bu,        0xceu,        0xfeu,
                    0x179u,       0x17au,       0x1a0u,       0x1d9u,       0x200u,       0x20fu,       0x250u,
                    0x258u,       0x26fu,       0x277u,       0x2ffu,       0xc000'0080u, 0xc001'0000u, 0xc001'0007u,
                    0xc001'0010u, 0xc001'0015u, 0xc001'001au, 0xc001'001du, 0xc001'0055u, 0xc001'1029u}) {
    EXPECT_TRUE(read(index)) << std::hex << index;
  }
}

TEST_F(MsrPolicy, RegistersOfTheBackendKeepTheirValue) {
  for (u32 index : {0xc000'0081u, 0xc000'0082u, 0xc000'0083u, 0xc000'0084u, 0xc000'0100u, 0xc000'0101u, 0xc000'0102u,
                    0xc000'0103u, 0x174u, 0x175u, 0x176u}) {
    EXPECT_TRUE(write(index, 0x1234)) << std::hex << index;
    EXPECT_EQ(read(index), 0x1234u) << std::hex << index;
    EXPECT_TRUE(is_direct_msr(index));
  }
  EXPECT_FALSE(is_direct_msr(0xc000'0080));
  EXPECT_FALSE(is_direct_msr(0x10));
  EXPECT_FALSE(is_direct_msr(0x48));
}

TEST_F(MsrPolicy, AddressesAreCanonical) {
  for (u32 index : {0xc000'0082u, 0xc000'0083u, 0xc000'0100u, 0xc000'0101u, 0xc000'0102u, 0x175u, 0x176u}) {
    EXPECT_FALSE(write(index, u64{1} << 47)) << std::hex << index;
    EXPECT_TRUE(write(index, 0xffff'8000'0000'0000)) << std::hex << index;
    EXPECT_FALSE(write(index, 0xffff'7fff'ffff'ffff)) << std::hex << index;
    EXPECT_EQ(read(index), 0xffff'8000'0000'0000u);
  }
}

TEST_F(MsrPolicy, EferTakesOnlyItsKnownBits) {
  EXPECT_TRUE(write(msr::kEfer, 0x901));
  EXPECT_EQ(read(msr::kEfer), 0x901u);
  for (unsigned bit : {12, 13, 14, 15, 17, 63}) EXPECT_FALSE(write(msr::kEfer, u64{1} << bit)) << bit;
  facts_.no_execute = false;
  EXPECT_FALSE(write(msr::kEfer, 0x901));
}

TEST_F(MsrPolicy, LongModeEnableIsFixedWhilePagingIsOn) {
  host_.registers[msr::kEfer] = 0xd01;
  host_.paging = true;
  EXPECT_FALSE(write(msr::kEfer, 0x001));
  EXPECT_TRUE(write(msr::kEfer, 0x100));  // LMA cannot be written
  EXPECT_EQ(read(msr::kEfer), 0x500u);
}

TEST_F(MsrPolicy, PatEntriesAreMemoryTypes) {
  EXPECT_TRUE(write(msr::kPat, 0x0007'0406'0007'0106));
  for (u64 bad : {2, 3, 8, 0x80}) EXPECT_FALSE(write(msr::kPat, kPatAtReset | bad << 56)) << bad;
  EXPECT_EQ(read(msr::kPat), 0x0007'0406'0007'0106u);
}

TEST_F(MsrPolicy, MtrrsAreStoredAndChecked) {
  EXPECT_EQ(read(0xfe), 0x508u);
  EXPECT_EQ(read(0x2ff), 0xc06u);
  EXPECT_TRUE(write(0x2ff, 0x800));
  EXPECT_FALSE(write(0x2ff, 0x807));
  EXPECT_FALSE(write(0x2ff, 0x1000));
  EXPECT_EQ(read(0x2ff), 0x800u);
  EXPECT_TRUE(write(0x200, 0xff'c000'0000));
  EXPECT_FALSE(write(0x200, u64{1} << 40));
  EXPECT_FALSE(write(0x200, 0x2));
  EXPECT_FALSE(write(0x200, 0x100));
  EXPECT_TRUE(write(0x20f, 0xff'c000'0800));
  EXPECT_FALSE(write(0x20f, 0x1));
  EXPECT_EQ(read(0x200), 0xff'c000'0000u);
  EXPECT_EQ(read(0x20f), 0xff'c000'0800u);
}

TEST_F(MsrPolicy, EveryFixedRangeIsARegisterOfItsOwn) {
  constexpr u32 kFixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
  for (u32 index : kFixed) EXPECT_TRUE(write(index, 0x0101'0101'0101'0100 | (index & 1 ? 4 : 5)));
  for (u32 index : kFixed) EXPECT_EQ(read(index), 0x0101'0101'0101'0100u | (index & 1 ? 4 : 5));
  EXPECT_FALSE(write(0x250, 0x0700'0000'0000'0000));  // UC- is for the PAT
}

TEST_F(MsrPolicy, ConstantsIgnoreOrRefuseWrites) {
  EXPECT_TRUE(write(0x8b, 0));
  EXPECT_EQ(read(0x8b), 0x1'0000'0001u);
  EXPECT_FALSE(write(0x3a, 5));
  EXPECT_FALSE(write(0x179, 1));
  EXPECT_TRUE(write(0x17a, 0));
  EXPECT_FALSE(write(0x17a, 1));
  EXPECT_TRUE(write(0xc001'0015, 0x40));
  EXPECT_EQ(read(0xc001'0015), 1u << 24);
}

TEST_F(MsrPolicy, MiscEnableHasFastStrings) {
  EXPECT_EQ(read(0x1a0), 0x1801u);
  EXPECT_TRUE(write(0x1a0, u64{1} << 34 | 1 << 22));
  EXPECT_EQ(read(0x1a0), 0x1800u);
}

TEST_F(MsrPolicy, HiddenFeaturesHideTheirRegisters) {
  EXPECT_EQ(read(0x10a), 0xd10'e179u);
  EXPECT_FALSE(write(0x10a, 0));
  EXPECT_FALSE(write(msr::kTscAux, u64{1} << 32));
  facts_ = {};
  EXPECT_FALSE(read(0x10a));
  EXPECT_FALSE(read(msr::kTscAux));
  EXPECT_FALSE(write(msr::kTscAux, 0));
}

TEST_F(MsrPolicy, TheApicAnswersForItsRegisters) {
  for (u32 index : {0x1bu, 0x6e0u, 0x800u, 0x8feu}) {
    EXPECT_EQ(read(index), index);
    EXPECT_TRUE(write(index, 0));
  }
  EXPECT_FALSE(read(0x8ff));
  EXPECT_FALSE(write(0x8ff, 0));
}

TEST_F(MsrPolicy, TheTscIsTheBackends) {
  EXPECT_TRUE(write(0x10, 5));
  EXPECT_EQ(read(0x10), 5u);
}

TEST_F(MsrPolicy, ClockWritesAreCheckedAndReported) {
  EXPECT_TRUE(write(0x4b56'4d00, 0x1000));
  EXPECT_FALSE(write(0x4b56'4d00, 0x1001));
  EXPECT_TRUE(write(0x4b56'4d01, 0x2021));
  EXPECT_FALSE(write(0x4b56'4d01, 0x2022));
  EXPECT_TRUE(write(0x4b56'4d03, 0x3041));
  EXPECT_FALSE(write(0x4b56'4d03, 0x3021));
  EXPECT_EQ(read(0x4b56'4d00), 0x1000u);
  EXPECT_EQ(read(0x4b56'4d01), 0x2021u);
  EXPECT_EQ(read(0x4b56'4d03), 0x3041u);
  EXPECT_EQ(host_.clock, (std::vector<u32>{0x4b56'4d00, 0x4b56'4d01, 0x4b56'4d03}));
}

}  // namespace
}  // namespace hv
