#include "kernel/base/memory.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace ax::memory {
namespace {

constexpr usize kSizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 200, 1000};

std::vector<u8> numbered(usize size) {
  std::vector<u8> bytes(size);
  for (usize i = 0; i < size; ++i) bytes[i] = static_cast<u8>(i * 7 + i / 256);
  return bytes;
}

TEST(Memory, CopiesEverySizeAtEveryAlignment) {
  const std::vector<u8> source = numbered(1100);
  for (usize size : kSizes) {
    for (usize d = 0; d < 8; ++d) {
      for (usize s = 0; s < 8; ++s) {
        std::vector<u8> target(1100, 0xee);
        std::vector<u8> expected = target;
        std::memcpy(expected.data() + d, source.data() + s, size);
        copy(target.data() + d, source.data() + s, size);
        ASSERT_EQ(target, expected) << size << " bytes from +" << s << " to +" << d;
      }
    }
  }
}

TEST(Memory, MovesOverlappingRangesBothWays) {
  for (usize size : kSizes) {
    for (usize distance : {1, 2, 7, 8, 9, 16, 31, 64, 80}) {
      std::vector<u8> down = numbered(1200);
      std::vector<u8> expected = down;
      std::memmove(expected.data(), expected.data() + distance, size);
      copy(down.data(), down.data() + distance, size);
      ASSERT_EQ(down, expected) << size << " bytes down by " << distance;

      std::vector<u8> up = numbered(1200);
      expected = up;
      std::memmove(expected.data() + distance, expected.data(), size);
      copy_backward(up.data() + distance, up.data(), size);
      ASSERT_EQ(up, expected) << size << " bytes up by " << distance;
    }
  }
}

TEST(Memory, FillsExactlyTheRange) {
  for (usize size : kSizes) {
    for (usize offset = 0; offset < 8; ++offset) {
      std::vector<u8> target(1100, 0xee);
      std::vector<u8> expected = target;
      std::memset(expected.data() + offset, 0x5a, size);
      fill(target.data() + offset, 0x5a, size);
      ASSERT_EQ(target, expected) << size << " bytes at +" << offset;
    }
  }
}

TEST(Memory, ComparesAsUnsignedBytesAtTheFirstDifference) {
  for (usize offset = 0; offset < 8; ++offset) {
    std::vector<u8> a = numbered(300);
    std::vector<u8> b = a;
    EXPECT_EQ(compare(a.data() + offset, b.data() + offset, 200), 0);
    b[offset + 199] ^= 0x80;
    EXPECT_EQ(compare(a.data() + offset, b.data() + offset, 199), 0);
    const bool less = a[offset + 199] < b[offset + 199];
    EXPECT_EQ(compare(a.data() + offset, b.data() + offset, 200) < 0, less);
    EXPECT_EQ(compare(b.data() + offset, a.data() + offset, 200) < 0, !less);
  }
}

}  // namespace
}  // namespace ax::memory
