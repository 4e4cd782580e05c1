#include "kernel/mm/arm_stage2.hpp"

#include <gmock/gmock.h>

#include <arch/tlb.hpp>

#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

using arch::fake::event;
using ::testing::ElementsAre;
using Tlb = ArmStage2Tlb<arch::Tlb>;
using Table = PageTable<ArmStage2Format, Tlb, FakeTableMemory>;
static_assert(TlbPolicy<Tlb>);

constexpr unsigned k36Bits = 1, k40Bits = 2, k42Bits = 3, k44Bits = 4, k48Bits = 5, k52Bits = 6;  // ID_AA64MMFR0_EL1.PARange

// Descriptor bits from Arm ARM D8.3 and D8.5, written out so that the test does not repeat the code.
constexpr u64 kRamPage = 0x7ff;
constexpr u64 kRamBlock = 0x7fd;
constexpr u64 kReadOnlyPage = 0x0040'0000'0000'077f;
constexpr u64 kDevicePage = 0x0040'0000'0000'04c7;
constexpr u64 kTableBits = 0x3;

// ---- geometry ----

struct Reach {
  u64 highest;
  unsigned pa_range;
  unsigned ipa_bits;
  unsigned start_level;
  u64 root_size;
};

TEST(ArmStage2Geometry, TakesTheShortestWalkThatReachesFarEnough) {
  constexpr Reach kCases[] = {
      {0x1000, k40Bits, 32, 1, 4_KiB},                  // never fewer than 32 bits
      {0xffff'ffff, k36Bits, 32, 1, 4_KiB},
      {0x1'0000'0000, k36Bits, 33, 1, 4_KiB},
      {(u64{1} << 39) - 1, k40Bits, 39, 1, 4_KiB},      // one table of 512 entries
      {u64{1} << 39, k40Bits, 40, 1, 8_KiB},            // cortex-a53: two concatenated tables instead of a level 0
      {(u64{1} << 42) - 1, k42Bits, 42, 1, 32_KiB},
      {(u64{1} << 43) - 1, k48Bits, 43, 1, 64_KiB},     // sixteen
      {u64{1} << 43, k44Bits, 44, 0, 4_KiB},
      {(u64{1} << 48) - 1, k52Bits, 48, 0, 4_KiB},
  };
  for (const Reach& reach : kCases) {
    const auto geometry = ArmStage2Geometry::reaching(Gpa(reach.highest), reach.pa_range);
    ASSERT_TRUE(geometry) << std::hex << reach.highest;
    EXPECT_EQ(geometry->ipa_bits(), reach.ipa_bits) << std::hex << reach.highest;
    EXPECT_EQ(geometry->start_level(), reach.start_level) << std::hex << reach.highest;
    EXPECT_EQ(geometry->root_size(), reach.root_size) << std::hex << reach.highest;
  }
}

TEST(ArmStage2Geometry, RefusesWhatTheCpuOrTheLevelLimitDoesNotReach) {
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(u64{1} << 40), k40Bits).error(), Error::OutOfRange);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(u64{1} << 48), k52Bits).error(), Error::OutOfRange);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(u64{1} << 43), k48Bits, 3).error(), Error::OutOfRange);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(~u64{0}), k48Bits).error(), Error::OutOfRange);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(0), 7).error(), Error::NotSupported);
}

TEST(ArmStage2Geometry, ComputesVtcr) {
  // RES1 | PS | SH0 inner | ORGN0, IRGN0 write-back | SL0 | T0SZ
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(0x8000'0000), k40Bits)->vtcr(8), 0x8002'3560u);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(u64{1} << 39), k40Bits)->vtcr(8), 0x8002'3558u);
  EXPECT_EQ(ArmStage2Geometry::reaching(Gpa(u64{1} << 47), k52Bits)->vtcr(16), 0x800d'3590u);
}

// ---- tables ----

struct ArmStage2 : ::testing::Test {
  static constexpr u16 kVmid = 7;

  explicit ArmStage2(u64 highest = 0xffff'ffff)
      : geometry(*ArmStage2Geometry::reaching(Gpa(highest), k48Bits)),
        root(frames.allocate_root(geometry.root_size() / kPageSize)),
        table(ArmStage2Format(geometry), Tlb(root, kVmid), root, FakeTableMemory{&frames}) {
    arch::fake::vttbr_el2 = 0;
  }

  u64 vttbr() const { return (u64{kVmid} << 48) | root.value(); }
  u64 table_address(usize nth) const { return root.value() + geometry.root_size() + (nth - 1) * kPageSize; }

  FakeTables frames;
  ArmStage2Geometry geometry;
  Hpa root;
  Table table;
};

TEST_F(ArmStage2, EncodesAttributesAsTheManualSays) {
  struct Expected {
    PageAttributes attributes;
    u64 bits;
  };
  constexpr Expected kPages[] = {
      {kReadWriteExecute, kRamPage}, {kReadOnly, kReadOnlyPage}, {kDeviceReadWrite, kDevicePage}, {{}, 0x0040'0000'0000'073f}};
  for (const Expected& page : kPages) {
    EXPECT_EQ(ArmStage2Format::leaf(Hpa(0x8000'1000), page.attributes, 0), page.bits | 0x8000'1000);
    EXPECT_EQ(ArmStage2Format::attributes(page.bits), page.attributes);
  }
  EXPECT_EQ(ArmStage2Format::leaf(Hpa(0x8000'0000), kReadWriteExecute, 1), kRamBlock | 0x8000'0000);
}

TEST_F(ArmStage2, MapsRamInBlocksWithoutTlbMaintenance) {
  arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Gpa(0x4000'0000), 1_GiB + 2_MiB}, Hpa(0xc000'0000), kReadWriteExecute));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", root.value() + 8, kRamBlock | 0xc000'0000),
                          "dsb ishst",
                          event("write", root.value() + 16, table_address(1) | kTableBits),
                          event("write", table_address(1), kRamBlock | 0x1'0000'0000),
                          "dsb ishst"));
}

TEST_F(ArmStage2, UnmapUsesTheVmsOwnVmidAndPutsTheOtherBack) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x4000'0000), 1_GiB}, Hpa(0x4000'0000), kReadWriteExecute));
  const u64 other = (u64{3} << 48) | 0x7000;
  arch::fake::vttbr_el2 = other;
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Gpa(0x4000'0000), 1_GiB}));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", root.value() + 8, u64{0}),
                          "dsb ishst",
                          event("msr vttbr_el2", vttbr()),
                          "isb",
                          event("tlbi ipas2e1is", u64{0x4000'0000}),
                          "dsb ish",
                          "tlbi vmalle1is",
                          "dsb ish",
                          event("msr vttbr_el2", other),
                          "isb"));
  EXPECT_EQ(arch::fake::vttbr_el2, other);
}

TEST_F(ArmStage2, PermissionChangeKeepsTheEntryValid) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x1000), 4_KiB}, Hpa(0x8000'0000), kReadWriteExecute));
  arch::fake::vttbr_el2 = vttbr();  // the VM whose turn it is
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Gpa(0x1000), 4_KiB}, kReadOnly));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", table_address(1) + 8, kReadOnlyPage | 0x8000'0000),
                          "dsb ishst",
                          event("tlbi ipas2e1is", u64{0x1000}),
                          "dsb ish",
                          "tlbi vmalle1is",
                          "dsb ish",
                          "isb",
                          "dsb ishst"));
}

TEST_F(ArmStage2, PermissionChangeInABlockBreaksBeforeItMakes) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x20'0000), 2_MiB}, Hpa(0x20'0000), kReadWriteExecute));
  arch::fake::vttbr_el2 = vttbr();
  const u64 block = table_address(1) + 8, pages = table_address(2);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Gpa(0x20'3000), 4_KiB}, kReadOnly));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", block, u64{0}),
                          "dsb ishst",
                          event("tlbi ipas2e1is", u64{0x20'0000}),
                          "dsb ish",
                          "tlbi vmalle1is",
                          "dsb ish",
                          "isb",
                          event("write", block, pages | kTableBits),
                          event("write", pages + 3 * 8, kReadOnlyPage | 0x20'3000),
                          "dsb ishst",
                          event("tlbi ipas2e1is", u64{0x20'3000}),
                          "dsb ish",
                          "tlbi vmalle1is",
                          "dsb ish",
                          "isb",
                          "dsb ishst"));
}

TEST_F(ArmStage2, UnmapOfManyLeavesInvalidatesTheWholeVmid) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x1000), 33 * kPageSize}, Hpa(0x1000), kReadWriteExecute));
  arch::fake::vttbr_el2 = vttbr();
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Gpa(0x1000), 33 * kPageSize}));
  const auto& events = recording.events();
  ASSERT_GE(events.size(), 4u);
  EXPECT_THAT(std::vector<std::string>(events.end() - 4, events.end()),
              ElementsAre("dsb ishst", "tlbi vmalls12e1is", "dsb ish", "isb"));
}

struct ArmStage2Concatenated : ArmStage2 {
  ArmStage2Concatenated() : ArmStage2((u64{1} << 43) - 1) {}
};

TEST_F(ArmStage2Concatenated, ReachesTheLastOfSixteenRootTables) {
  const Gpa last((u64{1} << 43) - 4_KiB);
  ASSERT_TRUE(table.map(frames, {last, 4_KiB}, Hpa(0x5000), kReadWriteExecute));
  EXPECT_EQ(table.translate(last + 8)->address, Hpa(0x5008));
  EXPECT_NE(frames.entry(root + 64_KiB - 8), 0u);
  EXPECT_FALSE(table.translate(Gpa(u64{1} << 43)));
  EXPECT_EQ(table.map(frames, {last, 8_KiB}, Hpa(0x5000), kReadWriteExecute).error(), Error::OutOfRange);
  usize leaves = 0;
  table.walk([&](const MappedLeaf<Gpa>& leaf) { leaves += leaf.range.base == last ? 1 : 100; });
  EXPECT_EQ(leaves, 1u);
  table.destroy(frames);
  EXPECT_EQ(frames.allocated, 0u);
}

struct ArmStage2Level0 : ArmStage2 {
  ArmStage2Level0() : ArmStage2((u64{1} << 48) - 1) {}
};

TEST_F(ArmStage2Level0, MapsAtTheTopOfFortyEightBits) {
  const Gpa last((u64{1} << 48) - 1_GiB);
  ASSERT_TRUE(table.map(frames, {last, 1_GiB}, Hpa(1_GiB), kReadWriteExecute));
  EXPECT_EQ(table.translate(last)->bytes_left, 1_GiB);
  EXPECT_EQ(frames.allocated, 1u) << "the root and one table of 1 GiB leaves";
}

}  // namespace
}  // namespace ax::mm
