#include "kernel/mm/x86_long_mode.hpp"

#include <gmock/gmock.h>

#include <arch/tlb.hpp>

#include "tests/unit/mm/fake_tables.hpp"

namespace ax::mm {
namespace {

using arch::fake::event;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Tlb = X86LongModeTlb<arch::Tlb>;
using Table = PageTable<X86LongModeFormat, Tlb, FakeTableMemory>;
static_assert(TlbPolicy<Tlb>);

// Entry bits from SDM vol. 3 tables 4-16 to 4-20, written out so that the test does not repeat the code.
constexpr u64 kReadWritePage = 0x8000'0000'0000'0063;
constexpr u64 kReadOnlyPage = 0x8000'0000'0000'0061;
constexpr u64 kReadExecutePage = 0x0000'0000'0000'0061;
constexpr u64 kDevicePage = 0x8000'0000'0000'007b;
constexpr u64 kReadWriteLarge = 0x8000'0000'0000'00e3;

unsigned flushes = 0;
void count_flush() {
  ++flushes;
  arch::fake::record("others");
}

struct X86LongMode : ::testing::Test {
  X86LongMode() { flushes = 0; }
  FakeTables frames;
  Table table{X86LongModeFormat{.gigabyte_leaves = true}, Tlb{.flush_others = count_flush}, frames.allocate_root(),
              FakeTableMemory{&frames}};
};

struct Expected {
  PageAttributes attributes;
  u64 bits;
};

TEST(X86LongModeFormat, EncodesAttributesAsTheManualSays) {
  constexpr Expected kPages[] = {{kReadWrite, kReadWritePage},
                                 {kReadExecute, kReadExecutePage},
                                 {kReadOnly, kReadOnlyPage},
                                 {kDeviceReadWrite, kDevicePage}};
  for (const Expected& page : kPages) {
    EXPECT_EQ(X86LongModeFormat::leaf(Hpa(0x8000'1000), page.attributes, 0), page.bits | 0x8000'1000);
    EXPECT_EQ(X86LongModeFormat::attributes(page.bits), page.attributes);
    // What the CPU adds makes no difference.
    EXPECT_EQ(X86LongModeFormat::attributes(page.bits & ~u64{0x60}), page.attributes);
  }
  EXPECT_EQ(X86LongModeFormat::leaf(Hpa(0x4000'0000), kReadWrite, 2), kReadWriteLarge | 0x4000'0000);
  EXPECT_EQ(X86LongModeFormat::output(kDevicePage | 0xf'ffff'ffff'f000), Hpa(0xf'ffff'ffff'f000));
}

TEST(X86LongModeFormat, BreaksForANewMemoryTypeOnly) {
  EXPECT_FALSE(X86LongModeFormat::needs_break(kReadWritePage, kReadExecutePage));
  EXPECT_TRUE(X86LongModeFormat::needs_break(kReadWritePage, kDevicePage));
  EXPECT_FALSE(X86LongModeFormat::is_valid(X86LongModeFormat::broken(kReadWritePage)));
}

TEST_F(X86LongMode, UsesGigabyteLeavesOnlyWhereTheCpuHasThem) {
  const auto largest = [&](bool has_them) {
    Table fresh{X86LongModeFormat{.gigabyte_leaves = has_them}, Tlb{}, frames.allocate_root(),
                FakeTableMemory{&frames}};
    EXPECT_TRUE(fresh.map(frames, {Hva(1_GiB), 1_GiB}, Hpa(1_GiB), kReadWrite));
    return fresh.translate(Hva(1_GiB))->bytes_left;
  };
  EXPECT_EQ(largest(true), 1_GiB);
  EXPECT_EQ(largest(false), 2_MiB);
}

TEST_F(X86LongMode, MapsTheLowerCanonicalHalfOnly) {
  EXPECT_TRUE(table.map(frames, {Hva((u64{1} << 47) - kPageSize), kPageSize}, Hpa(0x1000), kReadWrite));
  EXPECT_EQ(table.map(frames, {Hva(u64{1} << 47), kPageSize}, Hpa(0x1000), kReadWrite).error(), Error::OutOfRange);
  EXPECT_EQ(table.translate(Hva(0xffff'8000'0000'0000)), std::nullopt);
}

TEST_F(X86LongMode, InvalidatesNothingWhenItMaps) {
  arch::fake::Recording recording;
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), kPageSize}, Hpa(0x1000), kReadWrite));
  for (const std::string& text : recording.events()) EXPECT_THAT(text, ::testing::StartsWith("write"));
}

TEST_F(X86LongMode, TellsEveryCpuWhenItUnmaps) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), 3 * kPageSize}, Hpa(0x1000), kReadWrite));
  const usize tables = frames.allocated;
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0x2000), kPageSize}));
  EXPECT_EQ(frames.allocated, tables);
  ASSERT_EQ(recording.events().size(), 3u);
  EXPECT_THAT(recording.events()[0], ::testing::StartsWith("write"));
  EXPECT_THAT(recording.events()[0], ::testing::EndsWith(" 0x0"));
  EXPECT_EQ(recording.events()[1], event("invlpg", 0x2000u));
  EXPECT_EQ(recording.events()[2], "others");
}

TEST_F(X86LongMode, FlushesEverythingForManyLeaves) {
  ASSERT_TRUE(table.map(frames, {Hva(0), 64 * kPageSize}, Hpa(0), kReadWrite));
  arch::fake::Recording recording;
  ASSERT_TRUE(table.unmap(frames, {Hva(0), 64 * kPageSize}));
  EXPECT_THAT(recording.events(), ::testing::Contains("mov cr3"));
  EXPECT_EQ(flushes, 1u);
}

TEST_F(X86LongMode, FreesTablesOnlyWhenEveryCpuHasForgottenThem) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), kPageSize}, Hpa(0x1000), kReadWrite));
  EXPECT_GT(frames.allocated, 0u);
  ASSERT_TRUE(table.unmap(frames, {Hva(0x1000), kPageSize}));
  EXPECT_EQ(frames.allocated, 0u);
  EXPECT_EQ(flushes, 1u);
}

TEST_F(X86LongMode, ChangesPermissionsInPlaceAndTheMemoryTypeThroughAHole) {
  ASSERT_TRUE(table.map(frames, {Hva(0x1000), kPageSize}, Hpa(0x5000), kReadWrite));
  ASSERT_TRUE(table.protect(frames, {Hva(0x1000), kPageSize}, kReadOnly));
  EXPECT_EQ(table.translate(Hva(0x1000))->attributes, kReadOnly);
  EXPECT_EQ(flushes, 1u);
  arch::fake::Recording recording;
  ASSERT_TRUE(table.protect(frames, {Hva(0x1000), kPageSize}, kDeviceReadWrite));
  EXPECT_EQ(table.translate(Hva(0x1000))->attributes, kDeviceReadWrite);
  EXPECT_EQ(table.translate(Hva(0x1000))->address, Hpa(0x5000));
  ASSERT_EQ(recording.events().size(), 4u);  // hole, two kinds of invalidation, new leaf
  EXPECT_EQ(recording.events()[2], "others");
}

}  // namespace
}  // namespace ax::mm
