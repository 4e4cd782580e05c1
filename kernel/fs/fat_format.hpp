// Where FAT keeps what. Microsoft's FAT specification, sections 3 and 6.
#pragma once

#include <span>

#include "kernel/base/types.hpp"
#include "kernel/mm/physical_window.hpp"

namespace ax::fs::fat {

using mm::load_le;

template <class T>
void store_le(std::span<std::byte> bytes, usize offset, T value) {
  __builtin_memcpy(bytes.data() + offset, &value, sizeof value);
}

namespace boot_sector {
inline constexpr usize kBytesPerSector = 11, kSectorsPerCluster = 13, kReserved = 14, kTables = 16, kRootEntries = 17, kSectors16 = 19,
                       kTableSectors16 = 22, kSectors32 = 32, kTableSectors32 = 36, kRootCluster = 44, kInfoSector = 48,
                       kSignatureAt = 510;
inline constexpr u16 kSignature = 0xaa55;
}  // namespace boot_sector

namespace info_sector {
inline constexpr usize kFree = 488;  ///< and behind it, where to look for one
inline constexpr u32 kSignature = 0x4161'5252, kUnknown = 0xffff'ffff;
}  // namespace info_sector

inline constexpr u32 kFree = 0;
inline constexpr u32 kClusterMask = 0x0fff'ffff;
inline constexpr u32 kMostTables = 4;
inline constexpr u64 kFewestFat16 = 4085, kMostClusters = 0x0fff'fff5;
inline constexpr u64 kMostFileBytes = 0xffff'ffff;

inline constexpr usize kEntrySize = 32;
inline constexpr usize kMostDirectoryEntries = 65536;

namespace dirent {
inline constexpr usize kName = 0, kAttributes = 11, kCase = 12, kCreatedTime = 14, kCreatedDate = 16, kAccessedDate = 18, kClusterHigh = 20,
                       kTime = 22, kDate = 24, kClusterLow = 26, kSize = 28;
inline constexpr usize kNameLength = 8, kShortLength = 11;
inline constexpr u8 kVolume = 0x08, kDirectory = 0x10, kArchive = 0x20, kLongName = 0x0f, kAttributeMask = 0x3f;
inline constexpr u8 kDeleted = 0xe5, kEnd = 0, kEscapedE5 = 0x05;
inline constexpr u8 kLowerName = 0x08, kLowerExtension = 0x10;  ///< kCase
}  // namespace dirent

namespace long_name {
inline constexpr u8 kLast = 0x40;
inline constexpr usize kUnits = 13, kChecksum = 13, kMostEntries = 20;
/// Byte of each of the 13 UTF-16 units in an entry.
inline constexpr u8 kUnitAt[kUnits] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
}  // namespace long_name

inline u32 first_cluster(std::span<const std::byte> entry, bool wide) {
  const u32 low = load_le<u16>(entry, dirent::kClusterLow);
  return wide ? low | u32{load_le<u16>(entry, dirent::kClusterHigh)} << 16 : low;
}
inline void set_first_cluster(std::span<std::byte> entry, u32 cluster) {
  store_le(entry, dirent::kClusterLow, static_cast<u16>(cluster));
  store_le(entry, dirent::kClusterHigh, static_cast<u16>(cluster >> 16));
}

}  // namespace ax::fs::fat
