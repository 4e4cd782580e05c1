#include "kernel/mm/arm_stage1_el2.hpp"

#include <gmock/gmock.h>

#include <arch/tlb.hpp>

#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

using arch::fake::event;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Tlb = ArmStage1El2Tlb<arch::Tlb>;
using Table = PageTable<ArmStage1El2Format, Tlb, FakeTableMemory>;
static_assert(TlbPolicy<Tlb>);

// Descriptor bits from Arm ARM D8.3, written out so that the test does not repeat the code.
constexpr u64 kNormalReadWritePage = 0x0040'0000'0000'0743;
constexpr u64 kNormalReadWriteBlock = 0x0040'0000'0000'0741;
constexpr u64 kNormalReadExecutePage = 0x0000'0000'0000'07c3;
constexpr u64 kNormalReadOnlyPage = 0x0040'0000'0000'07c3;
constexpr u64 kDevicePage = 0x0040'0000'0000'0447;
constexpr u64 kTableBits = 0x3;

struct ArmStage1El2 : ::testing::Test {
  FakeTables frames;
  Table table{ArmStage1El2Format{}, Tlb{}, frames.allocate_root(), FakeTableMemory{&frames}};

  u64 table_address(usize nth) const { return FakeTables::kFirstTable + nth * kPageSize; }
};

struct Expected {
  PageAttributes attributes;
  u64 bits;
};

TEST(ArmStage1El2Format, EncodesAttributesAsTheManualSays) {
  constexpr Expected kPages[] = {{kReadWrite, kNormalReadWritePage},
                                 {kReadExecute, kNormalReadExecutePage},
                                 {kReadOnly, kNormalReadOnlyPage},
                                 {kDeviceReadWrite, kDevicePage}};
  for (const Expected& page : kPages) {
    EXPECT_EQ(ArmStage1El2Format::leaf(Hpa(0x8000'1000), page.attributes, 0), page.bits | 0x8000'1000);
    EXPECT_EQ(ArmStage1El2Format::attributes(page.bits), page.attributes);
  }
  EXPECT_EQ(ArmStage1El2Format::leaf(Hpa(0x8000'0000), kReadWrite, 2), kNormalReadWriteBlock | 0x8000'0000);
}

TEST(ArmStage1El2Format, ComputesTcrForThePhysicalAddressRange) {
  EXPECT_EQ(ArmStage1El2Format::tcr(2), 0x8082'3510u);  // 40 bits: cortex-a53
  EXPECT_EQ(ArmStage1El2Format::tcr(6), 0x8085'3510u);  // 52 bits are used as 48
}

TEST_F(ArmStage1El2, MapsWithTheLargestLeavesThatFit) {
  ASSERT_TRUE(table.map(frames, {Hva(0x3fff'f000), 1_GiB + 2_MiB + 8_KiB}, Hpa(0x3fff'f000), kReadWrite));
  std::vector<u64> sizes;
  table.walk([&](const MappedLeaf<Hva>& leaf) {
    EXPECT_EQ(leaf.range.base.value(), leaf.target.value());
    EXPECT_EQ(leaf.attributes, kReadWrite);
    sizes.push_back(leaf.range.size);
  });
  EXPECT_THAT(sizes, ElementsAre(4_KiB, 1_GiB, 2_MiB, 4_KiB));
}

TEST_F(ArmStage1El2, UsesSmallLeavesWhenTheTargetIsAlignedDifferently) {
  ASSERT_TRUE(table.map(frames, {Hva(0x20'0000), 2_MiB}, Hpa(0x40'1000), kReadWrite));
  usize leaves = 0;
  table.walk([&](const MappedLeaf<Hva>& leaf) { leaves += leaf.range.size == 4_KiB ? 1 : 0; });
  EXPECT_EQ(leaves, 512u);
}

TEST_F(ArmStage1El2, HonoursTheLargestLeafAsked) {
  ASSERT_TRUE(table.map(frames, {Hva(0), 2_MiB}, Hpa(0), kReadWrite, kPageSize));
  EXPECT_EQ(table.translate(Hva(0))->bytes_left, 4_KiB);
}

TEST_F(ArmStage1El2, TranslatesOnlyWhatIsMapped) {
  ASSERT_TRUE(table.map(frames, {Hva(0x4000'0000), 2_MiB}, Hpa(0x8020'0000), kReadExecute));
  const auto inside = table.translate(Hva(0x4012'3456));
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->address, Hpa(0x8032'3456));
  EXPECT_EQ(inside->attributes, kReadExecute);
  EXPECT_EQ(inside->bytes_left, 2_MiB - 0x12'3456);
  EXPECT_FALSE(table.translate(Hva(0x3fff'ffff)));
  EXPECT_FALSE(table.translate(Hva(0x4020'0000)));
  EXPECT_FALSE(table.translate(Hva(u64{1} << 48)));
  EXPECT_FALSE(table.translate(Hva(~u64{0})));
}

TEST_F(ArmStage1El2, RefusesWhatItCannotMap) {
  EXPECT_EQ(table.map(frames, {Hva(0x800), 4_KiB}, Hpa(0), kReadWrite).error(), Error::Unaligned);
  EXPECT_EQ(table.map(frames, {Hva(0), 0x800}, Hpa(0), kReadWrite).error(), Error::Unaligned);
  EXPECT_EQ(table.map(frames, {Hva(0), 4_KiB}, Hpa(0x800), kReadWrite).error(), Error::Unaligned);
  EXPECT_EQ(table.map(frames, {Hva(0), 0}, Hpa(0), kReadWrite).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Hva((u64{1} << 48) - 4_KiB), 8_KiB}, Hpa(0), kReadWrite).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Hva(~u64{0} << 12), 4_KiB}, Hpa(0), kReadWrite).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Hva(0), 8_KiB}, Hpa((u64{1} << 48) - 4_KiB), kReadWrite).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Hva(0), 4_KiB}, Hpa(0), {.write = true}).error(), Error::InvalidArgument);
  EXPECT_EQ(frames.allocated, 0u);
}

TEST_F(ArmStage1El2, MappingTheSameAgainChangesNothing) {
  ASSERT_TRUE(table.map(frames, {Hva(0x20'0000), 4_MiB}, Hpa(0x20'0000), kReadWrite));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Hva(0x20'1000), 8_KiB}, Hpa(0x20'1000), kReadWrite));
  EXPECT_THAT(recording.events(), ElementsAre("dsb ishst", "isb"));
  EXPECT_EQ(table.translate(Hva(0x20'0000))->bytes_left, 2_MiB) << "no leaf was split";
}

TEST_F(ArmStage1El2, RefusesToMapOverSomethingElseAndLeavesItAlone) {
  ASSERT_TRUE(table.map(frames, {Hva(0x10'0000), 4_KiB}, Hpa(0x10'0000), kReadWrite));
  const usize allocated = frames.allocated;
  EXPECT_EQ(table.map(frames, {Hva(0), 2_MiB}, Hpa(0x20'0000), kReadWrite).error(), Error::AlreadyExists);
  EXPECT_EQ(table.map(frames, {Hva(0x10'0000), 4_KiB}, Hpa(0x10'0000), kReadOnly).error(), Error::AlreadyExists);
  EXPECT_FALSE(table.translate(Hva(0)));
  EXPECT_EQ(frames.allocated, allocated);
}

TEST_F(ArmStage1El2, MapOrdersTableContentsBeforeTheirLink) {
  arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Hva(0x20'0000), 4_KiB}, Hpa(0x40'0000), kReadWrite));
  // Reserved tables are taken from the end of the chain.
  const u64 l1 = table_address(3), l2 = table_address(2), l3 = table_address(1);
  EXPECT_THAT(recording.events(),
              ElementsAre("dsb ishst", event("write", table_address(0), l1 | kTableBits),
                          "dsb ishst", event("write", l1, l2 | kTableBits),
                          "dsb ishst", event("write", l2 + 8, l3 | kTableBits),
                          event("write", l3, kNormalReadWritePage | 0x40'0000),
                          "dsb ishst", "isb"));
}

TEST_F(ArmStage1El2, UnmapInvalidatesEachLeafAndFreesEmptyTables) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 8_KiB}, Hpa(0x1000), kReadWrite));
  const u64 l1 = table_address(3), l2 = table_address(2), l3 = table_address(1);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x1000), 8_KiB}));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", l3 + 8, u64{0}),
                          event("write", l3 + 16, u64{0}),
                          event("write", l2, u64{0}),
                          event("write", l1, u64{0}),
                          event("write", table_address(0), u64{0}),
                          "dsb ishst",
                          event("tlbi vae2is", u64{0x1000}),
                          event("tlbi vae2is", u64{0x2000}),
                          "dsb ish",
                          "isb"));
  EXPECT_EQ(frames.allocated, 0u);
}

TEST_F(ArmStage1El2, UnmapOfManyLeavesInvalidatesTheWholeRegime) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 33 * kPageSize}, Hpa(0x1000), kReadWrite));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x1000), 33 * kPageSize}));
  const auto& events = recording.events();
  const std::vector<std::string> end(events.end() - 4, events.end());
  EXPECT_THAT(end, ElementsAre("dsb ishst", "tlbi alle2is", "dsb ish", "isb"));
}

TEST_F(ArmStage1El2, UnmapOfNothingTouchesNothing) {
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x1000), 8_KiB}));
  EXPECT_THAT(recording.events(), IsEmpty());
}

TEST_F(ArmStage1El2, PermissionChangeKeepsTheEntryValid) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 4_KiB}, Hpa(0x1000), kReadWrite));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Hva(0x1000), 4_KiB}, kReadExecute));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", table_address(1) + 8, kNormalReadExecutePage | 0x1000),
                          "dsb ishst",
                          event("tlbi vae2is", u64{0x1000}),
                          "dsb ish",
                          "isb",
                          "dsb ishst",
                          "isb"));
}

TEST_F(ArmStage1El2, TypeChangeBreaksBeforeItMakes) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 8_KiB}, Hpa(0x1000), kReadWrite));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Hva(0x1000), 8_KiB}, kDeviceReadWrite));
  const u64 l3 = table_address(1);
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", l3 + 8, (kNormalReadWritePage | 0x1000) & ~u64{1}),
                          event("write", l3 + 16, (kNormalReadWritePage | 0x2000) & ~u64{1}),
                          "dsb ishst",
                          event("tlbi vae2is", u64{0x1000}),
                          event("tlbi vae2is", u64{0x2000}),
                          "dsb ish",
                          "isb",
                          event("write", l3 + 8, kDevicePage | 0x1000),
                          event("write", l3 + 16, kDevicePage | 0x2000),
                          "dsb ishst",
                          "isb"));
}

TEST_F(ArmStage1El2, SplittingABlockBreaksBeforeItMakes) {
  ASSERT_TRUE(table.map(frames, {Hva(0x20'0000), 2_MiB}, Hpa(0x20'0000), kReadWrite));
  const u64 l2_entry = table_address(1) + 8, l3 = table_address(3);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x30'0000), 4_KiB}));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", l2_entry, u64{0}),
                          "dsb ishst",
                          event("tlbi vae2is", u64{0x20'0000}),
                          "dsb ish",
                          "isb",
                          event("write", l2_entry, l3 | kTableBits),
                          event("write", l3 + 256 * 8, u64{0}),
                          "dsb ishst",
                          event("tlbi vae2is", u64{0x30'0000}),
                          "dsb ish",
                          "isb"));
  EXPECT_FALSE(table.translate(Hva(0x30'0000)));
  EXPECT_EQ(table.translate(Hva(0x30'1234))->bytes_left, 4_KiB - 0x234) << "neighbours survive";
}

TEST_F(ArmStage1El2, SplitsAGigabyteDownToAPage) {
  ASSERT_TRUE(table.map(frames, {Hva(1_GiB), 1_GiB}, Hpa(1_GiB), kReadWrite));
  ASSERT_TRUE(table.protect(frames, {Hva(1_GiB + 4_MiB + 4_KiB), 4_KiB}, kReadOnly));
  EXPECT_EQ(table.translate(Hva(1_GiB))->bytes_left, 2_MiB);
  EXPECT_EQ(table.translate(Hva(1_GiB + 4_MiB))->attributes, kReadWrite);
  EXPECT_EQ(table.translate(Hva(1_GiB + 4_MiB + 4_KiB))->attributes, kReadOnly);
  EXPECT_EQ(table.translate(Hva(1_GiB + 4_MiB + 8_KiB))->attributes, kReadWrite);
}

TEST_F(ArmStage1El2, ProtectRefusesHolesAndLeavesTheRestAlone) {
  ASSERT_TRUE(table.map(frames, {Hva(0), 8_KiB}, Hpa(0), kReadWrite));
  EXPECT_EQ(table.protect(frames, {Hva(0), 12_KiB}, kReadOnly).error(), Error::NotFound);
  EXPECT_EQ(table.translate(Hva(0))->attributes, kReadWrite);
}

TEST_F(ArmStage1El2, RunningOutOfTablesHasNoEffect) {
  for (usize available = 0; available < 5; ++available) {
    frames.available = available;
    arch::fake::Recording recording;
    // The two pages share the 512 GiB table only: one table of height 2, two each of heights 1 and 0.
    EXPECT_EQ(table.map(frames, {Hva(1_GiB - 4_KiB), 8_KiB}, Hpa(0x1000), kReadWrite).error(), Error::OutOfMemory);
    EXPECT_THAT(recording.events(), IsEmpty());
    EXPECT_EQ(frames.available, available);
  }
  frames.available = 5;
  EXPECT_TRUE(table.map(frames, {Hva(1_GiB - 4_KiB), 8_KiB}, Hpa(0x1000), kReadWrite));
  EXPECT_EQ(frames.available, 0u) << "exactly what was needed was taken";
}

TEST_F(ArmStage1El2, RunningOutOfTablesInASplitHasNoEffect) {
  ASSERT_TRUE(table.map(frames, {Hva(1_GiB), 1_GiB}, Hpa(1_GiB), kReadWrite));
  frames.available = 1;  // two are needed
  arch::fake::Recording recording;
  EXPECT_EQ(table.unmap(frames, {Hva(1_GiB), 4_KiB}).error(), Error::OutOfMemory);
  EXPECT_EQ(table.protect(frames, {Hva(1_GiB), 4_KiB}, kReadOnly).error(), Error::OutOfMemory);
  EXPECT_THAT(recording.events(), IsEmpty());
  EXPECT_EQ(table.translate(Hva(1_GiB))->bytes_left, 1_GiB);
  frames.available = 2;
  EXPECT_TRUE(table.unmap(frames, {Hva(1_GiB), 4_KiB}));
}

TEST_F(ArmStage1El2, CuttingBothEndsOutOfAGigabyteTakesOneTableForEachAndOneForTheWhole) {
  ASSERT_TRUE(table.map(frames, {Hva(1_GiB), 1_GiB}, Hpa(1_GiB), kReadWrite));
  const Range<Hva> middle{Hva(1_GiB + 3_MiB), 6_MiB};
  frames.available = 2;
  EXPECT_EQ(table.protect(frames, middle, kReadOnly).error(), Error::OutOfMemory);
  EXPECT_EQ(table.translate(Hva(1_GiB))->bytes_left, 1_GiB);
  frames.available = 3;
  ASSERT_TRUE(table.protect(frames, middle, kReadOnly));
  EXPECT_EQ(frames.available, 0u);
  EXPECT_EQ(table.translate(middle.base - 1)->attributes, kReadWrite);
  EXPECT_EQ(table.translate(middle.base)->attributes, kReadOnly);
  EXPECT_EQ(table.translate(middle.end() - 1)->attributes, kReadOnly);
  EXPECT_EQ(table.translate(middle.end())->attributes, kReadWrite);
  EXPECT_EQ(table.translate(Hva(1_GiB + 6_MiB))->bytes_left, 2_MiB) << "blocks inside stay whole";
}

TEST_F(ArmStage1El2, DestroyInvalidatesBeforeItFrees) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 4_KiB}, Hpa(0x1000), kReadWrite));
  ASSERT_TRUE(table.map(frames, {Hva(512_GiB), 2_GiB + 2_MiB}, Hpa(0), kReadWrite));
  arch::fake::Recording recording;
  table.destroy(frames);
  EXPECT_EQ(frames.allocated, 0u);
  const auto& events = recording.events();
  ASSERT_EQ(events.size(), 6u);
  EXPECT_THAT(std::vector<std::string>(events.begin() + 2, events.end()),
              ElementsAre("dsb ishst", "tlbi alle2is", "dsb ish", "isb"));
  EXPECT_FALSE(table.translate(Hva(0x1000)));
}

}  // namespace
}  // namespace ax::mm
