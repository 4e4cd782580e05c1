// Partition tables of disk images: GPT (UEFI 2.10, chapter 5) and MBR.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

inline constexpr std::uint64_t kSectorBytes = 512;

using Guid = std::array<unsigned char, 16>;  ///< as it is on disk: the first three fields little-endian

/// A GUID made of a name: the same name gives the same one (RFC 9562 version 8).
Guid guid_of_name(std::string_view name);
/// "C12A7328-F81F-11D2-BA4B-00A0C93EC93B". Nothing (all zero) where it is none.
Guid parse_guid(std::string_view text);
std::string format_guid(const Guid& guid);

struct Partition {
  std::uint64_t first = 0;    ///< sector
  std::uint64_t sectors = 0;
  Guid type{};
  Guid id{};
  std::uint64_t attributes = 0;
  unsigned char mbr_type = 0;
  std::string name;           ///< ASCII, at most 36 characters
};

struct PartitionTable {
  enum class Kind { None, Mbr, Gpt };
  Kind kind = Kind::None;
  Guid disk_id{};
  std::vector<Partition> partitions;
};

/// The bytes of a table, for the places on a disk of this many sectors.
struct TableBytes {
  std::string head;            ///< from sector 0 on
  std::string tail;            ///< GPT: its second copy, at the very end; else empty
};
TableBytes encode_table(const PartitionTable& table, std::uint64_t disk_sectors);

/// The table of a disk whose first and last bytes these are. A disk without one is Kind::None. Throws Failure(Failure) `name: ...` for a
/// GPT with wrong checksums, and partitions outside the disk.
PartitionTable decode_table(std::string_view head, std::uint64_t disk_sectors, const std::string& name);

/// Sectors that a GPT needs before the first partition, and behind the last one.
inline constexpr std::uint64_t kGptHeadSectors = 34;
inline constexpr std::uint64_t kGptTailSectors = 33;

}  // namespace ax::xtask
