#include "hypervisor/vm/x86_64/memory_map.hpp"

#include <gmock/gmock.h>

#include <vector>

namespace hv {
namespace {

using ::testing::ElementsAre;

MemoryMapEntry usable(u64 from, u64 to) { return {{Gpa(from), to - from}, MemoryType::Usable}; }
const MemoryMapEntry kTables{{Gpa(0xe'0000), 0x2'0000}, MemoryType::Reserved};

TEST(MemoryMap, LeavesTheHoleOfAPc) {
  const GpaRange ram[] = {{Gpa(0), 512_MiB}};
  const MemoryMap map(ram);
  EXPECT_THAT(map.entries(), ElementsAre(usable(0, 0xa'0000), kTables, usable(0x10'0000, 512_MiB)));
  EXPECT_EQ(map.lower_kib(), 640u);
  EXPECT_EQ(map.upper_kib(), 511u * 1024);
}

TEST(MemoryMap, KnowsRangesAbove4GiB) {
  const GpaRange ram[] = {{Gpa(0), 3_GiB}, {Gpa(4_GiB), 1_GiB}};
  EXPECT_THAT(MemoryMap(ram).entries(),
              ElementsAre(usable(0, 0xa'0000), kTables, usable(0x10'0000, 3_GiB), usable(4_GiB, 5_GiB)));
}

TEST(MemoryMap, TakesRangesThatEndAtTheHole) {
  const GpaRange ram[] = {{Gpa(0), 0xa'0000}, {Gpa(0x10'0000), 1_MiB}};
  EXPECT_THAT(MemoryMap(ram).entries(), ElementsAre(usable(0, 0xa'0000), kTables, usable(0x10'0000, 2_MiB)));
  EXPECT_TRUE(MemoryMap({}).entries().empty());
}

TEST(MemoryMap, IsBounded) {
  std::vector<GpaRange> ram;
  for (u64 i = 0; i < 100; ++i) ram.push_back({Gpa(i * 2_MiB), 1_MiB});
  EXPECT_LE(MemoryMap(ram).entries().size(), MemoryMap::kMaxEntries);
}

}  // namespace
}  // namespace hv
