#include "kernel/mm/x86_nested.hpp"

#include <gmock/gmock.h>

#include <arch/nested_tlb.hpp>

#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

using arch::fake::event;
using ::testing::ElementsAre;
using Tlb = X86NestedTlb<arch::NestedTlb>;
using Table = PageTable<X86NestedFormat, Tlb, FakeTableMemory>;
static_assert(TlbPolicy<Tlb>);

constexpr NestedCapabilities kAmd{.kind = NestedKind::Npt, .physical_bits = 48, .gigabyte_leaves = true};
constexpr NestedCapabilities kIntel{.kind = NestedKind::Ept, .physical_bits = 46, .gigabyte_leaves = true, .accessed_dirty = true};

// Entry bits of APM vol. 2 5.3.3 and SDM vol. 3 29.3.2, written out so that the test does not repeat the code.
constexpr u64 kNptRamPage = 0x67;                         // P RW US A D
constexpr u64 kNptRamBlock = 0xe7;                        // and PS
constexpr u64 kNptReadOnlyPage = 0x8000'0000'0000'0065;   // NX
constexpr u64 kNptDevicePage = 0x8000'0000'0000'007f;     // PWT PCD NX
constexpr u64 kNptTable = 0x27;
constexpr u64 kEptRamPage = 0x337;                        // RWX, WB, A D
constexpr u64 kEptRamBlock = 0x3b7;
constexpr u64 kEptReadOnlyPage = 0x331;
constexpr u64 kEptDevicePage = 0x303;
constexpr u64 kEptTable = 0x107;

struct Expected {
  PageAttributes attributes;
  u64 bits;
};

void expect_page_bits(const X86NestedFormat& format, std::initializer_list<Expected> pages) {
  for (const Expected& page : pages) {
    EXPECT_EQ(format.leaf(Hpa(0x8000'1000), page.attributes, 0), page.bits | 0x8000'1000);
    EXPECT_EQ(format.attributes(page.bits), page.attributes);
    EXPECT_EQ(format.output(page.bits | 0x8000'1000), Hpa(0x8000'1000));
    EXPECT_TRUE(format.is_valid(page.bits));
    EXPECT_FALSE(format.is_valid(format.broken(page.bits | 0x8000'1000)));
    EXPECT_EQ(format.output(format.broken(page.bits | 0x8000'1000)), Hpa(0x8000'1000));
  }
}

TEST(X86NestedFormat, EncodesNptEntriesAsTheManualSays) {
  const X86NestedFormat format(kAmd);
  expect_page_bits(format, {{kReadWriteExecute, kNptRamPage}, {kReadOnly, kNptReadOnlyPage}, {kDeviceReadWrite, kNptDevicePage}});
  EXPECT_EQ(format.leaf(Hpa(1_GiB), kReadWriteExecute, 2), kNptRamBlock | 1_GiB);
  EXPECT_EQ(format.table(Hpa(0x5000)), kNptTable | 0x5000);
}

TEST(X86NestedFormat, EncodesEptEntriesAsTheManualSays) {
  const X86NestedFormat format(kIntel);
  expect_page_bits(format, {{kReadWriteExecute, kEptRamPage}, {kReadOnly, kEptReadOnlyPage}, {kDeviceReadWrite, kEptDevicePage}});
  EXPECT_EQ(format.leaf(Hpa(2_MiB), kReadWriteExecute, 1), kEptRamBlock | 2_MiB);
  EXPECT_EQ(format.table(Hpa(0x5000)), kEptTable | 0x5000);
}

TEST(X86NestedFormat, AFreeTableInAChainIsNoValidEntry) {
  for (const NestedCapabilities& machine : {kAmd, kIntel}) EXPECT_FALSE(X86NestedFormat(machine).is_valid(0xffff'ffff'f000));
}

TEST(X86NestedFormat, EptPointerNamesWalkAndDirtyFlags) {
  EXPECT_EQ(ept_pointer(Hpa(0x1234'5000), kIntel), 0x1234'505eu);
  NestedCapabilities old = kIntel;
  old.accessed_dirty = false;
  EXPECT_EQ(ept_pointer(Hpa(0x1234'5000), old), 0x1234'501eu);
}

struct X86Nested : ::testing::TestWithParam<NestedCapabilities> {
  FakeTables frames;
  std::atomic<u64> epoch{1};
  Hpa root = frames.allocate_root();
  Table table{X86NestedFormat(GetParam()), Tlb(epoch), root, FakeTableMemory{&frames}};

  bool ept() const { return GetParam().kind == NestedKind::Ept; }
  u64 ram_page() const { return ept() ? kEptRamPage : kNptRamPage; }
  u64 ram_block() const { return ept() ? kEptRamBlock : kNptRamBlock; }
  u64 read_only() const { return ept() ? kEptReadOnlyPage : kNptReadOnlyPage; }
  u64 link() const { return ept() ? kEptTable : kNptTable; }
  u64 table_address(usize nth) const { return root.value() + nth * kPageSize; }
};

INSTANTIATE_TEST_SUITE_P(Machines, X86Nested, ::testing::Values(kAmd, kIntel),
                         [](const auto& machine) { return machine.param.kind == NestedKind::Npt ? "Npt" : "Ept"; });

TEST_P(X86Nested, MapsRamInLargeLeavesWithoutAnEpoch) {
  arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Gpa(0), 1_GiB + 2_MiB}, Hpa(0x1'4000'0000), kReadWriteExecute));
  EXPECT_THAT(recording.events(),
              ElementsAre("order stores",
                          event("write", root.value(), table_address(2) | link()),
                          event("write", table_address(2), ram_block() | 0x1'4000'0000),
                          "order stores",
                          event("write", table_address(2) + 8, table_address(1) | link()),
                          event("write", table_address(1), ram_block() | 0x1'8000'0000),
                          "order stores"));
}

TEST_P(X86Nested, UnmapStartsOneEpochAfterTheStores) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x1000), 8_KiB}, Hpa(0x7000), kReadWriteExecute));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Gpa(0x1000), 4_KiB}));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", table_address(1) + 8, u64{0}), "order stores", event("start epoch", u64{2})));
  EXPECT_FALSE(table.translate(Gpa(0x1000)));
  EXPECT_EQ(table.translate(Gpa(0x2008))->address, Hpa(0x8008));
}

TEST_P(X86Nested, PermissionChangeInALargeLeafSplitsIt) {
  ASSERT_TRUE(table.map(frames, {Gpa(0x20'0000), 2_MiB}, Hpa(0x20'0000), kReadWriteExecute));
  const u64 block = table_address(1) + 8, pages = table_address(3);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Gpa(0x20'3000), 4_KiB}, kReadOnly));
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", block, u64{0}), "order stores", event("start epoch", u64{2}),
                          event("write", block, pages | link()), event("write", pages + 3 * 8, read_only() | 0x20'3000),
                          "order stores", event("start epoch", u64{3}), "order stores"));
  EXPECT_EQ(table.translate(Gpa(0x20'4000))->attributes, kReadWriteExecute);
}

TEST_P(X86Nested, TypeChangeGoesThroughAnInvalidEntry) {
  ASSERT_TRUE(table.map(frames, {Gpa(0), 4_KiB}, Hpa(0x7000), kReadWriteExecute));
  const u64 page = table_address(1);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Gpa(0), 4_KiB}, kDeviceReadWrite));
  const u64 broken = (ram_page() | 0x7000) & ~(ept() ? u64{7} : u64{1});
  EXPECT_THAT(recording.events(),
              ElementsAre(event("write", page, broken), "order stores", event("start epoch", u64{2}),
                          event("write", page, (ept() ? kEptDevicePage : kNptDevicePage) | 0x7000), "order stores"));
}

TEST_P(X86Nested, DestroyStartsAnEpochAndFreesEveryTable) {
  ASSERT_TRUE(table.map(frames, {Gpa(4_GiB - 4_KiB), 8_KiB}, Hpa(0x7000), kReadWriteExecute));
  table.destroy(frames);
  EXPECT_EQ(frames.allocated, 0u);
  EXPECT_EQ(epoch, 2u);
}

TEST_P(X86Nested, RefusesWhatItCannotReachOrExpress) {
  const u64 reach = u64{1} << GetParam().physical_bits;
  EXPECT_EQ(table.map(frames, {Gpa(u64{1} << 48), 4_KiB}, Hpa(0), kReadWriteExecute).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Gpa(0), 8_KiB}, Hpa(reach - 4_KiB), kReadWriteExecute).error(), Error::OutOfRange);
  EXPECT_EQ(table.map(frames, {Gpa(0), 4_KiB}, Hpa(0), {.execute = true}).error(), Error::InvalidArgument);
  EXPECT_EQ(table.map(frames, {Gpa(0), 4_KiB}, Hpa(0), {}).error(), Error::InvalidArgument);
}

TEST(X86NestedLeaves, StopAtTwoMegabytesWhenTheCpuSaysSo) {
  FakeTables frames;
  std::atomic<u64> epoch{1};
  NestedCapabilities machine = kAmd;
  machine.gigabyte_leaves = false;
  Table table(X86NestedFormat(machine), Tlb(epoch), frames.allocate_root(), FakeTableMemory{&frames});
  ASSERT_TRUE(table.map(frames, {Gpa(0), 1_GiB}, Hpa(0), kReadWriteExecute));
  EXPECT_EQ(table.translate(Gpa(0))->bytes_left, 2_MiB);
}

}  // namespace
}  // namespace ax::mm
