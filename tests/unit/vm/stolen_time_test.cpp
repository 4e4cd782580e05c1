#include "hypervisor/vm/stolen_time.hpp"

#include <gtest/gtest.h>

#include "tests/unit/mm/fake_ram.hpp"

namespace hv {
namespace {

struct StolenTimeTest : ::testing::Test {
  static constexpr Gpa kPage{0x4000'1000};
  static constexpr u64 kHz = 62'500'000;

  StolenTimeTest() {
    EXPECT_TRUE(memory.add({Gpa(0x4000'0000), 1_MiB}, ram.at(0)));
    for (u64 offset = 0; offset < 4_KiB; offset += 8) EXPECT_TRUE(memory.store(kPage + offset, 8, kGarbage));
    stolen_time.place(kPage, kHz);
  }
  u64 word(u64 offset) { return *memory.load(kPage + offset, 8); }

  static constexpr u64 kGarbage = 0x5555'5555'5555'5555;
  ax::mm::FakeRam ram{2_MiB, 2_MiB};
  GuestMemory memory;
  StolenTime stolen_time;
};

TEST_F(StolenTimeTest, WritesNothingBeforeTheGuestAsks) {
  stolen_time.report(memory, 2, 1000);
  EXPECT_EQ(word(2 * 64 + 8), kGarbage);
}

TEST_F(StolenTimeTest, GivesEachVcpuARecordOfItsOwn) {
  EXPECT_EQ(stolen_time.announce(memory, 0, 0), kPage);
  EXPECT_EQ(stolen_time.announce(memory, 2, kHz), kPage + 128);
  EXPECT_EQ(word(128), 0u) << "revision and attributes";
  EXPECT_EQ(word(128 + 8), 1'000'000'000u);
  EXPECT_EQ(word(64 + 8), kGarbage);
  stolen_time.report(memory, 2, kHz + kHz / 2);
  EXPECT_EQ(word(128 + 8), 1'500'000'000u);
  EXPECT_EQ(word(8), 0u);
}

TEST_F(StolenTimeTest, CountsForCenturies) {
  constexpr u64 kYear = 365ull * 24 * 3600;
  stolen_time.announce(memory, 0, 200 * kYear * kHz);
  EXPECT_EQ(word(8), 200 * kYear * 1'000'000'000);
}

TEST_F(StolenTimeTest, IsThereOnceItHasAPage) {
  EXPECT_TRUE(stolen_time.available());
  EXPECT_FALSE(StolenTime().available());
}

}  // namespace
}  // namespace hv
