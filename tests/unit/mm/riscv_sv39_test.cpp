#include "kernel/mm/riscv_sv39.hpp"

#include <gmock/gmock.h>

#include <arch/tlb.hpp>

#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

using arch::fake::event;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Not;
using Tlb = RiscvTlb<arch::Tlb>;
using Table = PageTable<RiscvSv39Format, Tlb, FakeTableMemory>;
static_assert(TlbPolicy<Tlb>);

// Entries from figure 4.21 of the privileged specification, written out so that the test does not repeat the code.
constexpr u64 kFrame = 0x8000'1000, kFrameBits = 0x2000'0400;
constexpr u64 kReadWriteBits = 0xc7, kReadOnlyBits = 0xc3, kReadExecuteBits = 0xcb, kDeviceBits = 0x1c7;

void note_flush() { arch::fake::record("others"); }

struct RiscvSv39 : ::testing::Test {
  FakeTables frames;
  Table table{RiscvSv39Format{}, Tlb{.flush_others = note_flush}, frames.allocate_root(), FakeTableMemory{&frames}};
};

TEST(RiscvSv39Format, EncodesAttributesAsTheSpecificationSays) {
  constexpr struct {
    PageAttributes attributes;
    u64 bits;
  } kPages[] = {{kReadWrite, kReadWriteBits},
                {kReadExecute, kReadExecuteBits},
                {kReadOnly, kReadOnlyBits},
                {kDeviceReadWrite, kDeviceBits}};
  for (const auto& page : kPages) {
    EXPECT_EQ(RiscvSv39Format::leaf(Hpa(kFrame), page.attributes, 0), kFrameBits | page.bits);
    EXPECT_EQ(RiscvSv39Format::attributes(kFrameBits | page.bits), page.attributes);
    EXPECT_EQ(RiscvSv39Format::output(kFrameBits | page.bits), Hpa(kFrame));
  }
  EXPECT_EQ(RiscvSv39Format::table(Hpa(kFrame)), kFrameBits | 1);
  EXPECT_FALSE(RiscvSv39Format::is_leaf(kFrameBits | 1, 1));
  EXPECT_FALSE(RiscvSv39Format::can_express({.write = true}));
}

TEST(RiscvSv39Format, BreaksForANewMemoryTypeOnly) {
  EXPECT_FALSE(RiscvSv39Format::needs_break(kReadWriteBits, kReadExecuteBits));
  EXPECT_TRUE(RiscvSv39Format::needs_break(kReadWriteBits, kDeviceBits));
  EXPECT_FALSE(RiscvSv39Format::is_valid(RiscvSv39Format::broken(kReadWriteBits)));
}

TEST_F(RiscvSv39, MapsTheLowerHalfWithLeavesUpToAGigabyte) {
  EXPECT_TRUE(table.map(frames, {Hva(u64{1} << 37), 1_GiB}, Hpa(0x8000'0000), kReadWrite));
  EXPECT_EQ(table.translate(Hva(u64{1} << 37))->bytes_left, 1_GiB);
  EXPECT_TRUE(table.map(frames, {Hva((u64{1} << 38) - kPageSize), kPageSize}, Hpa(0x1000), kReadWrite));
  EXPECT_EQ(table.map(frames, {Hva(u64{1} << 38), kPageSize}, Hpa(0x1000), kReadWrite).error(), Error::OutOfRange);
}

TEST_F(RiscvSv39, DropsNothingForNewEntries) {
  const arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Hva(1_GiB), 2_GiB}, Hpa(1_GiB), kReadWrite));
  EXPECT_EQ(recording.events().back(), event("fence w, w"));
  EXPECT_THAT(recording.events(), Not(Contains(AnyOf(event("sfence.vma"), event("others")))));
}

TEST_F(RiscvSv39, DropsAnOldPageOnThisCpuAndThenOnTheOthers) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), kPageSize}, Hpa(0x1000), kReadWrite));
  const arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x1000), kPageSize}));
  std::vector<std::string> fences;
  for (const std::string& entry : recording.events()) {
    if (entry.find("fence") != std::string::npos || entry == "others") fences.push_back(entry);
  }
  ASSERT_GE(fences.size(), 2u);
  EXPECT_EQ(fences[0], event("sfence.vma", u64{0x1000}));
  EXPECT_EQ(fences.back(), event("others"));
}

}  // namespace
}  // namespace ax::mm
