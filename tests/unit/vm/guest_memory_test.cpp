#include "hypervisor/vm/guest_memory.hpp"

#include <gmock/gmock.h>

#include <arch/recorder.hpp>
#include <cstring>
#include <string_view>

#include "tests/unit/mm/fake_ram.hpp"

namespace hv {
namespace {

using ax::arch::fake::event;
using ::testing::ElementsAre;

/// Two regions that touch in the guest's view and lie apart in the host's, and one on its own.
struct GuestMemoryTest : ::testing::Test {
  static constexpr Gpa kLow{0x4000'0000};
  static constexpr Gpa kHigh{0x4000'4000};
  static constexpr Gpa kApart{0x8000'0000};
  static constexpr u64 kSize = 0x4000;

  GuestMemoryTest() {
    EXPECT_TRUE(memory.add({kLow, kSize}, ram.at(1_MiB)));
    EXPECT_TRUE(memory.add({kHigh, kSize}, ram.at(0)));
    EXPECT_TRUE(memory.add({kApart, kSize}, ram.at(512_KiB)));
  }

  std::byte* host(u64 offset) { return reinterpret_cast<std::byte*>(ram.at(offset).value()); }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  std::string text_at(Gpa address, usize size) {
    std::string text(size, '?');
    EXPECT_TRUE(memory.read(address, std::as_writable_bytes(std::span(text))));
    return text;
  }

  ax::mm::FakeRam ram{2_MiB, 2_MiB};
  GuestMemory memory;
};

TEST_F(GuestMemoryTest, WritesWhereTheRegionLiesAndReadsItBack) {
  ASSERT_TRUE(memory.write(kLow + 0x10, bytes("hello")));
  EXPECT_EQ(std::memcmp(host(1_MiB + 0x10), "hello", 5), 0);
  EXPECT_EQ(text_at(kLow + 0x10, 5), "hello");
}

TEST_F(GuestMemoryTest, CopiesAcrossRegionsThatTouch) {
  ASSERT_TRUE(memory.write(kHigh - 3, bytes("abcdef")));
  EXPECT_EQ(std::memcmp(host(1_MiB + kSize - 3), "abc", 3), 0);
  EXPECT_EQ(std::memcmp(host(0), "def", 3), 0);
  EXPECT_EQ(text_at(kHigh - 3, 6), "abcdef");
}

TEST_F(GuestMemoryTest, RefusesWhatLeavesRamAndTouchesNothing) {
  std::byte buffer[8] = {};
  EXPECT_EQ(memory.write(kHigh + kSize - 2, bytes("xyz")).error(), Error::OutOfRange);
  EXPECT_EQ(host(kSize - 2)[0], std::byte{0}) << "the part inside was written";
  EXPECT_EQ(memory.read(kApart + kSize - 4, buffer).error(), Error::OutOfRange);
  EXPECT_EQ(memory.read(kLow - 1, buffer).error(), Error::OutOfRange);
  EXPECT_EQ(memory.read(Gpa(~u64{0} - 2), buffer).error(), Error::OutOfRange);
}

TEST_F(GuestMemoryTest, NothingIsAlwaysInside) {
  EXPECT_TRUE(memory.write(Gpa(0), {}));
  EXPECT_TRUE(memory.contains({Gpa(1), 0}));
}

TEST_F(GuestMemoryTest, RefusesRegionsThatOverlapWrapOrAreTooMany) {
  EXPECT_EQ(memory.add({kHigh + kSize - 1, 1}, ram.at(0)).error(), Error::Overlap);
  EXPECT_EQ(memory.add({Gpa(~u64{0} - 0xfff), 0x2000}, ram.at(0)).error(), Error::OutOfRange);
  EXPECT_EQ(memory.add({Gpa(0), 0}, ram.at(0)).error(), Error::OutOfRange);
  for (u64 i = 3; i < kMaxVmMemoryRegions; ++i) ASSERT_TRUE(memory.add({Gpa(i * kPageSize), kPageSize}, ram.at(0)));
  EXPECT_EQ(memory.add({Gpa(0x1000'0000), kPageSize}, ram.at(0)).error(), Error::OutOfMemory);
}

TEST_F(GuestMemoryTest, ZeroesEveryRegion) {
  ASSERT_TRUE(memory.write(kHigh - 4, bytes("12345678")));
  memory.zero_all();
  EXPECT_EQ(text_at(kHigh - 4, 8), std::string(8, '\0'));
}

TEST_F(GuestMemoryTest, WhatItWritesReachesMemoryAndNotOnlyTheCaches) {
  ax::arch::fake::Recording recording;
  ASSERT_TRUE(memory.write(kHigh - 3, bytes("abcdef")));
  std::byte buffer[6];
  ASSERT_TRUE(memory.read(kHigh - 3, buffer));
  EXPECT_THAT(recording.events(), ElementsAre(event("dc cvac", ram.at(1_MiB + kSize - 3).value()),
                                              event("dc cvac", ram.at(0).value())))
      << "each piece written, nothing for what is only read";
}

}  // namespace
}  // namespace hv
