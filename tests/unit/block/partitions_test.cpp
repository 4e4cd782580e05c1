#include "kernel/block/partitions.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernel/base/crc32.hpp"

namespace ax::block {
namespace {

constexpr usize kSectors = 2048;

class Disk {
 public:
  std::vector<std::byte> bytes = std::vector<std::byte>(kSectors * kSectorSize);
  RamDisk device{bytes};

  template <class T>
  void put(usize sector, usize at, T value) {
    std::memcpy(bytes.data() + sector * kSectorSize + at, &value, sizeof value);
  }
  void mbr_entry(usize sector, unsigned index, u8 type, u32 first, u32 count) {
    put<u8>(sector, 446 + 16 * index + 4, type);
    put<u32>(sector, 446 + 16 * index + 8, first);
    put<u32>(sector, 446 + 16 * index + 12, count);
    put<u16>(sector, 510, 0xaa55);
  }
  u32 crc(usize at, usize size) const {
    Crc32 crc;
    crc.add(std::span(bytes).subspan(at, size));
    return crc.value();
  }
  void gpt_header(u64 at, u64 entries) {
    put<u64>(at, 0, 0x5452415020494645);
    put<u32>(at, 8, 0x10000);
    put<u32>(at, 12, 92);
    put<u32>(at, 16, 0);
    put<u64>(at, 24, at);
    put<u64>(at, 72, entries);
    put<u32>(at, 80, 8);
    put<u32>(at, 84, 128);
    put<u32>(at, 88, crc(entries * kSectorSize, 8 * 128));
    put<u32>(at, 16, crc(at * kSectorSize, 92));
  }
  void gpt_entry(u64 entries, unsigned index, u64 first, u64 last) {
    const usize at = index * 128;
    put<u64>(entries, at, 0x1234);
    put<u64>(entries, at + 32, first);
    put<u64>(entries, at + 40, last);
  }
  void gpt() {
    mbr_entry(0, 0, 0xee, 1, kSectors - 1);
    for (const u64 entries : {u64{2}, u64{kSectors - 3}}) {
      gpt_entry(entries, 0, 64, 127);
      gpt_entry(entries, 2, 128, 1000);
      gpt_entry(entries, 3, 1000, 5000);  // beyond the disk
    }
    gpt_header(1, 2);
    gpt_header(kSectors - 1, kSectors - 3);
  }
};

TEST(Crc32, HasTheCheckValueOfItsName) {
  Crc32 crc;
  crc.add(std::as_bytes(std::span("123456789", 9)));
  EXPECT_EQ(crc.value(), 0xcbf43926u);
}

TEST(Partitions, AreNoneOnABareDisk) {
  Disk disk;
  EXPECT_EQ(read_partitions(disk.device)->size(), 0u);
}

TEST(Partitions, ArePrimaryAndLogicalOnesOfAnMbr) {
  Disk disk;
  disk.mbr_entry(0, 0, 0x0c, 64, 100);
  disk.mbr_entry(0, 1, 0x05, 1000, 500);
  disk.mbr_entry(0, 2, 0x83, 200, 5000);  // beyond the disk
  disk.mbr_entry(1000, 0, 0x83, 10, 90);
  disk.mbr_entry(1000, 1, 0x05, 200, 100);
  disk.mbr_entry(1200, 0, 0x83, 10, 20);
  disk.mbr_entry(1200, 1, 0x05, 300, 100);  // as all but the first: from the extended partition's begin on
  disk.mbr_entry(1300, 0, 0x83, 10, 30);
  const auto table = *read_partitions(disk.device);
  ASSERT_EQ(table.size(), 4u);
  EXPECT_EQ(table[0].number, 1u);
  EXPECT_EQ(table[0].first, 64u);
  EXPECT_EQ(table[1].number, 5u);
  EXPECT_EQ(table[1].first, 1010u);
  EXPECT_EQ(table[1].sectors, 90u);
  EXPECT_EQ(table[2].number, 6u);
  EXPECT_EQ(table[2].first, 1210u);
  EXPECT_EQ(table[3].first, 1310u);
}

TEST(Partitions, AreThoseOfAGpt) {
  Disk disk;
  disk.gpt();
  const auto table = *read_partitions(disk.device);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].number, 1u);
  EXPECT_EQ(table[0].sectors, 64u);
  EXPECT_EQ(table[1].number, 3u);
  EXPECT_EQ(table[1].first, 128u);
}

TEST(Partitions, AreThoseOfTheSecondGptIfTheFirstIsDamaged) {
  Disk disk;
  disk.gpt();
  disk.gpt_entry(2, 0, 65, 127);
  EXPECT_EQ((*read_partitions(disk.device))[0].first, 64u);
  disk.gpt_entry(kSectors - 3, 0, 65, 127);
  EXPECT_EQ(read_partitions(disk.device).error(), Error::Malformed);
}

TEST(Device, RefusesWhatLiesOutside) {
  Disk disk;
  Partition part(disk.device, 64, 10);
  std::vector<std::byte> two(2 * kSectorSize);
  EXPECT_TRUE(part.read(8, two));
  EXPECT_EQ(part.read(9, two).error(), Error::OutOfRange);
  EXPECT_EQ(part.read(~u64{0}, two).error(), Error::OutOfRange);
  EXPECT_EQ(part.read(0, std::span(two).first(100)).error(), Error::Unaligned);
  RamDisk fixed(disk.bytes, false);
  EXPECT_EQ(fixed.write(0, two).error(), Error::ReadOnly);
}

}  // namespace
}  // namespace ax::block
