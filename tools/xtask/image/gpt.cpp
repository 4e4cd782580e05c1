#include "tools/xtask/image/gpt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace {

// UEFI 2.10, 5.2.1 and 5.2.3: the master boot record.
constexpr size_t kMbrEntries = 446;
constexpr size_t kMbrEntrySize = 16;
constexpr size_t kMbrEntryCount = 4;
constexpr size_t kMbrDiskId = 440;
constexpr size_t kMbrSignature = 510;
constexpr std::uint64_t kMbrMagic = 0xaa55;
constexpr unsigned char kProtective = 0xee;

// UEFI 2.10, 5.3.2 and 5.3.3.
constexpr std::string_view kGptMagic = "EFI PART";
constexpr std::uint64_t kGptRevision = 0x10000;
constexpr size_t kHeaderSize = 92;
constexpr size_t kEntryCount = 128;
constexpr size_t kEntrySize = 128;
constexpr size_t kNameOffset = 56;
constexpr size_t kNameCharacters = 36;
enum HeaderField : size_t {
  kRevision = 8,
  kSize = 12,
  kHeaderCrc = 16,
  kOwnPlace = 24,
  kOtherPlace = 32,
  kFirstUsable = 40,
  kLastUsable = 48,
  kDiskGuid = 56,
  kEntryPlace = 72,
  kEntriesCount = 80,
  kEntriesSize = 84,
  kEntriesCrc = 88,
};

void put(std::string& bytes, size_t at, std::uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<char>(value >> (8 * i));
  }
}

std::uint64_t get(std::string_view bytes, size_t at, size_t size) {
  std::uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

void put_guid(std::string& bytes, size_t at, const Guid& guid) { std::memcpy(bytes.data() + at, guid.data(), guid.size()); }

Guid get_guid(std::string_view bytes, size_t at) {
  Guid guid;
  std::memcpy(guid.data(), bytes.data() + at, guid.size());
  return guid;
}

/// CRC-32 as of ISO 3309.
std::uint32_t crc32(std::string_view bytes) {
  constexpr std::uint32_t kPolynomial = 0xedb88320;
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    }
  }
  return ~crc;
}

void put_mbr_entry(std::string& sector, size_t index, unsigned char type, std::uint64_t first, std::uint64_t sectors) {
  constexpr std::uint64_t kLargest = 0xffffffff;
  constexpr std::uint64_t kNoCylinders = 0xfffffe;  // head, sector and cylinder of what lies beyond them
  const size_t at = kMbrEntries + index * kMbrEntrySize;
  put(sector, at + 1, kNoCylinders, 3);
  put(sector, at + 4, type, 1);
  put(sector, at + 5, kNoCylinders, 3);
  put(sector, at + 8, first, 4);
  put(sector, at + 12, std::min(sectors, kLargest), 4);
}

std::string encode_mbr(const PartitionTable& table) {
  std::string sector(kSectorBytes, '\0');
  std::memcpy(sector.data() + kMbrDiskId, table.disk_id.data(), 4);
  for (size_t i = 0; i < table.partitions.size(); ++i) {
    put_mbr_entry(sector, i, table.partitions[i].mbr_type, table.partitions[i].first, table.partitions[i].sectors);
  }
  put(sector, kMbrSignature, kMbrMagic, 2);
  return sector;
}

std::string gpt_entries(const PartitionTable& table) {
  std::string entries(kEntryCount * kEntrySize, '\0');
  for (size_t i = 0; i < table.partitions.size(); ++i) {
    const Partition& partition = table.partitions[i];
    const size_t at = i * kEntrySize;
    put_guid(entries, at, partition.type);
    put_guid(entries, at + 16, partition.id);
    put(entries, at + 32, partition.first, 8);
    put(entries, at + 40, partition.first + partition.sectors - 1, 8);
    put(entries, at + 48, partition.attributes, 8);
    for (size_t c = 0; c < std::min(partition.name.size(), kNameCharacters); ++c) {
      put(entries, at + kNameOffset + 2 * c, static_cast<unsigned char>(partition.name[c]), 2);
    }
  }
  return entries;
}

std::string gpt_header(const PartitionTable& table, std::uint64_t sectors, bool second, std::uint32_t entries_crc) {
  std::string header(kSectorBytes, '\0');
  kGptMagic.copy(header.data(), kGptMagic.size());
  put(header, kRevision, kGptRevision, 4);
  put(header, kSize, kHeaderSize, 4);
  put(header, kOwnPlace, second ? sectors - 1 : 1, 8);
  put(header, kOtherPlace, second ? 1 : sectors - 1, 8);
  put(header, kFirstUsable, kGptHeadSectors, 8);
  put(header, kLastUsable, sectors - kGptTailSectors - 1, 8);
  put_guid(header, kDiskGuid, table.disk_id);
  put(header, kEntryPlace, second ? sectors - kGptTailSectors : 2, 8);
  put(header, kEntriesCount, kEntryCount, 4);
  put(header, kEntriesSize, kEntrySize, 4);
  put(header, kEntriesCrc, entries_crc, 4);
  put(header, kHeaderCrc, crc32(std::string_view(header).substr(0, kHeaderSize)), 4);
  return header;
}

[[noreturn]] void damaged(const std::string& name, const std::string& reason) {
  throw Failure(ExitCode::Failure, fmt::format("{}: damaged partition table: {}", name, reason));
}

void check_place(const Partition& partition, size_t index, std::uint64_t disk_sectors, const std::string& name) {
  if (partition.sectors == 0 || partition.first >= disk_sectors || partition.sectors > disk_sectors - partition.first) {
    damaged(name, fmt::format("partition {} lies outside the disk", index + 1));
  }
}

PartitionTable decode_gpt(std::string_view head, std::uint64_t disk_sectors, const std::string& name) {
  std::string header(head.substr(kSectorBytes, kSectorBytes));
  const std::uint64_t crc = get(header, kHeaderCrc, 4);
  put(header, kHeaderCrc, 0, 4);
  if (get(header, kSize, 4) != kHeaderSize || crc != crc32(std::string_view(header).substr(0, kHeaderSize))) {
    damaged(name, "the checksum of its header is wrong");
  }
  const bool usual = get(header, kEntryPlace, 8) == 2 && get(header, kEntriesCount, 4) == kEntryCount && get(header, kEntriesSize, 4) == kEntrySize;
  if (!usual || head.size() < kGptHeadSectors * kSectorBytes) {
    damaged(name, "its entries are not where they usually are");
  }
  const std::string_view entries = head.substr(2 * kSectorBytes, kEntryCount * kEntrySize);
  if (get(header, kEntriesCrc, 4) != crc32(entries)) {
    damaged(name, "the checksum of its entries is wrong");
  }
  PartitionTable table{PartitionTable::Kind::Gpt, get_guid(header, kDiskGuid), {}};
  for (size_t i = 0; i < kEntryCount; ++i) {
    const std::string_view entry = entries.substr(i * kEntrySize, kEntrySize);
    Partition partition;
    partition.type = get_guid(entry, 0);
    if (partition.type == Guid{}) {
      continue;
    }
    partition.id = get_guid(entry, 16);
    partition.first = get(entry, 32, 8);
    const std::uint64_t last = get(entry, 40, 8);
    partition.sectors = last >= partition.first ? last - partition.first + 1 : 0;
    partition.attributes = get(entry, 48, 8);
    for (size_t c = 0; c < kNameCharacters && entry[kNameOffset + 2 * c] != 0; ++c) {
      partition.name += entry[kNameOffset + 2 * c];
    }
    check_place(partition, i, disk_sectors, name);
    table.partitions.push_back(partition);
  }
  return table;
}

}  // namespace

Guid guid_of_name(std::string_view name) {
  const std::string hex = sha256_hex(name);
  Guid guid;
  for (size_t i = 0; i < guid.size(); ++i) {
    guid[i] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  guid[7] = static_cast<unsigned char>((guid[7] & 0x0f) | 0x80);  // version 8, in the high half of a little-endian field
  guid[8] = static_cast<unsigned char>((guid[8] & 0x3f) | 0x80);  // variant
  return guid;
}

// Places of the bytes in the text.
constexpr std::array<size_t, 16> kTextOrder{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

Guid parse_guid(std::string_view text) {
  constexpr size_t kTextSize = 36;
  std::string hex(text);
  std::erase(hex, '-');
  const bool digits = hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (text.size() != kTextSize || hex.size() != 32 || !digits) {
    return {};
  }
  Guid guid;
  for (size_t i = 0; i < guid.size(); ++i) {
    guid[kTextOrder[i]] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return guid;
}

std::string format_guid(const Guid& guid) {
  std::string text;
  for (size_t i = 0; i < guid.size(); ++i) {
    const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
    text += fmt::format("{}{:02X}", dash ? "-" : "", guid[kTextOrder[i]]);
  }
  return text;
}

TableBytes encode_table(const PartitionTable& table, std::uint64_t disk_sectors) {
  if (table.kind == PartitionTable::Kind::None) {
    return {};
  }
  if (table.kind == PartitionTable::Kind::Mbr) {
    return {encode_mbr(table), ""};
  }
  std::string protective(kSectorBytes, '\0');
  put_mbr_entry(protective, 0, kProtective, 1, disk_sectors - 1);
  put(protective, kMbrEntries + 1, 0x000200, 3);  // the first sector, as UEFI wants it spelt
  put(protective, kMbrSignature, kMbrMagic, 2);
  const std::string entries = gpt_entries(table);
  const std::uint32_t crc = crc32(entries);
  return {protective + gpt_header(table, disk_sectors, false, crc) + entries, entries + gpt_header(table, disk_sectors, true, crc)};
}

PartitionTable decode_table(std::string_view head, std::uint64_t disk_sectors, const std::string& name) {
  if (head.size() < 2 * kSectorBytes || get(head, kMbrSignature, 2) != kMbrMagic) {
    return {};
  }
  if (head.substr(kSectorBytes, kGptMagic.size()) == kGptMagic) {
    return decode_gpt(head, disk_sectors, name);
  }
  constexpr std::string_view kFatMagic = "FAT";
  constexpr size_t kFat32Name = 82;
  constexpr size_t kFat16Name = 54;
  if (head.substr(kFat32Name, kFatMagic.size()) == kFatMagic || head.substr(kFat16Name, kFatMagic.size()) == kFatMagic) {
    return {};  // a file system over the whole disk, whose first sector looks like a table
  }
  PartitionTable table{PartitionTable::Kind::Mbr, {}, {}};
  std::memcpy(table.disk_id.data(), head.data() + kMbrDiskId, 4);
  for (size_t i = 0; i < kMbrEntryCount; ++i) {
    const std::string_view entry = head.substr(kMbrEntries + i * kMbrEntrySize, kMbrEntrySize);
    Partition partition;
    partition.mbr_type = static_cast<unsigned char>(entry[4]);
    partition.first = get(entry, 8, 4);
    partition.sectors = get(entry, 12, 4);
    if (partition.mbr_type != 0) {
      check_place(partition, i, disk_sectors, name);
      table.partitions.push_back(partition);
    }
  }
  return table.partitions.empty() ? PartitionTable{} : table;
}

}  // namespace ax::xtask
