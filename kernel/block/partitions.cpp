#include "kernel/block/partitions.hpp"

#include <algorithm>
#include <array>

#include "kernel/base/crc32.hpp"
#include "kernel/mm/physical_window.hpp"

namespace ax::block {
namespace {

using Sector = std::array<std::byte, kSectorSize>;

template <class T>
T load(const Sector& sector, usize at) {
  return mm::load_le<T>(sector, at);
}

void add(PartitionTable& table, const Device& disk, u32 number, u64 first, u64 sectors) {
  if (first == 0 || sectors == 0 || first >= disk.sectors() || sectors > disk.sectors() - first) return;
  static_cast<void>(table.push_back({number, first, sectors}));
}

// ---- GPT --------------------------------------------------------------------------------------------------------------

struct GptHeader {
  static constexpr u64 kSignature = 0x5452'4150'2049'4645;  // "EFI PART"
  static constexpr usize kSize = 12, kChecksum = 16, kOwnSector = 24, kEntries = 72, kCount = 80, kEntrySize = 84, kEntriesChecksum = 88,
                         kLeastSize = 92;
  static constexpr u32 kMostEntries = 1024, kLeastEntrySize = 128;
  static constexpr usize kFirst = 32, kLast = 40;
};

/// The entries' checksum, and on the way those that are used.
Result<PartitionTable> read_entries(Device& disk, u64 start, u32 count, u32 size, u32 checksum) {
  PartitionTable table;
  Sector sector;
  Crc32 crc;
  const u64 bytes = u64{count} * size;
  for (u64 at = 0; at < bytes; at += kSectorSize) {
    TRY(disk.read(start + at / kSectorSize, sector));
    const usize used = static_cast<usize>(std::min<u64>(bytes - at, kSectorSize));
    crc.add(std::span(sector).first(used));
    // An entry's size is a power of two: what is needed of it is in one sector.
    for (usize i = 0; i + GptHeader::kLeastEntrySize <= used; i += GptHeader::kLeastEntrySize) {
      const u64 offset = at + i;
      const bool unused = load<u64>(sector, i) == 0 && load<u64>(sector, i + 8) == 0;
      if (offset % size != 0 || unused) continue;
      const u64 first = load<u64>(sector, i + GptHeader::kFirst), last = load<u64>(sector, i + GptHeader::kLast);
      if (last >= first) add(table, disk, static_cast<u32>(offset / size) + 1, first, last - first + 1);
    }
  }
  if (crc.value() != checksum) return fail(Error::Malformed);
  return table;
}

Result<PartitionTable> read_gpt(Device& disk, u64 at) {
  using H = GptHeader;
  Sector header;
  TRY(disk.read(at, header));
  const u32 size = load<u32>(header, H::kSize), checksum = load<u32>(header, H::kChecksum), count = load<u32>(header, H::kCount),
            entry_size = load<u32>(header, H::kEntrySize);
  if (load<u64>(header, 0) != H::kSignature || load<u64>(header, H::kOwnSector) != at || size < H::kLeastSize ||
      size > kSectorSize || count > H::kMostEntries || entry_size < H::kLeastEntrySize || !is_power_of_two(entry_size) ||
      entry_size > kPageSize)
    return fail(Error::Malformed);
  std::fill_n(header.begin() + H::kChecksum, sizeof checksum, std::byte{});
  Crc32 crc;
  crc.add(std::span(header).first(size));
  if (crc.value() != checksum) return fail(Error::Malformed);
  return read_entries(disk, load<u64>(header, H::kEntries), count, entry_size, load<u32>(header, H::kEntriesChecksum));
}

// ---- MBR --------------------------------------------------------------------------------------------------------------

constexpr usize kSignatureAt = 510, kTableAt = 446, kEntrySize = 16, kTypeAt = 4, kFirstAt = 8, kSectorsAt = 12;
constexpr u16 kBootSignature = 0xaa55;
constexpr u32 kPrimaries = 4;
constexpr u8 kProtective = 0xee;

struct MbrEntry {
  u8 type;
  u32 first, sectors;

  static MbrEntry read(const Sector& sector, u32 index) {
    const usize at = kTableAt + index * kEntrySize;
    return {load<u8>(sector, at + kTypeAt), load<u32>(sector, at + kFirstAt), load<u32>(sector, at + kSectorsAt)};
  }
  bool is_extended() const { return type == 0x05 || type == 0x0f || type == 0x85; }
  bool is_used() const { return type != 0 && sectors != 0; }
};

/// A chain of tables of two entries: a partition, relative to its table, and the next table, relative to the first.
Result<void> read_logical(Device& disk, u64 extended, PartitionTable& table) {
  u64 at = extended;
  for (u32 number = kPrimaries + 1; !table.full() && number <= kPrimaries + kMaxPartitions; ++number) {
    Sector sector;
    if (at >= disk.sectors()) return {};
    TRY(disk.read(at, sector));
    if (load<u16>(sector, kSignatureAt) != kBootSignature) return {};
    const MbrEntry own = MbrEntry::read(sector, 0), next = MbrEntry::read(sector, 1);
    if (own.is_used()) add(table, disk, number, at + own.first, own.sectors);
    if (!next.is_extended() || next.first == 0) return {};
    at = extended + next.first;
  }
  return {};
}

/// The boot sector of a FAT file system looks like an MBR with accidental contents: a byte that is neither 0 nor 0x80 as a
/// boot flag gives it away.
bool is_table(const Sector& sector) {
  for (u32 i = 0; i < kPrimaries; ++i)
    if ((load<u8>(sector, kTableAt + i * kEntrySize) & 0x7f) != 0) return false;
  return load<u16>(sector, kSignatureAt) == kBootSignature;
}

}  // namespace

Result<PartitionTable> read_partitions(Device& disk) {
  PartitionTable table;
  Sector sector;
  if (disk.sectors() < 2) return table;
  TRY(disk.read(0, sector));
  if (!is_table(sector)) return table;
  for (u32 i = 0; i < kPrimaries; ++i) {
    const MbrEntry entry = MbrEntry::read(sector, i);
    if (entry.type != kProtective) continue;
    const auto gpt = read_gpt(disk, 1);
    return gpt ? gpt : read_gpt(disk, disk.sectors() - 1);
  }
  for (u32 i = 0; i < kPrimaries; ++i) {
    const MbrEntry entry = MbrEntry::read(sector, i);
    if (entry.is_used() && !entry.is_extended()) add(table, disk, i + 1, entry.first, entry.sectors);
    if (entry.is_used() && entry.is_extended()) TRY(read_logical(disk, entry.first, table));
  }
  return table;
}

}  // namespace ax::block
