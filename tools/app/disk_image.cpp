#include "tools/app/disk_image.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

namespace ax::app {
namespace fs = std::filesystem;
namespace {

// Microsoft's "FAT: General Overview of On-Disk Format", version 1.03.
constexpr u32 kSectorBytes = 512;
constexpr u32 kSectors = static_cast<u32>(kDiskBytes / kSectorBytes);
constexpr u32 kReservedSectors = 32;
constexpr u32 kFatCopies = 2;
constexpr u32 kEntryBytes = 4;
constexpr u32 kRootCluster = 2;
constexpr u32 kInfoSector = 1;
constexpr u32 kBackupSector = 6;
constexpr u32 kMedia = 0xf8;
constexpr u32 kEndOfChain = 0x0fff'ffff;
constexpr u32 kVolumeId = 0x4158'4653;

// One sector per cluster, the two reserved entries included.
constexpr u32 kFatSectors = [] {
  const u32 per_fat_sector = kSectorBytes / kEntryBytes;
  const u32 clusters = kSectors - kReservedSectors;
  return (clusters + 2 + per_fat_sector + kFatCopies - 1) / (per_fat_sector + kFatCopies) + 1;
}();
constexpr u32 kClusters = kSectors - kReservedSectors - kFatCopies * kFatSectors;
constexpr u32 kFewestClustersOfFat32 = 65'525;
static_assert(kClusters >= kFewestClustersOfFat32);
static_assert(kFatSectors * (kSectorBytes / kEntryBytes) >= kClusters + 2);

class Sector {
 public:
  Sector& put(usize at, u32 value, usize size) {
    for (usize i = 0; i < size; ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i));
    return *this;
  }
  Sector& put(usize at, std::string_view text) {
    text.copy(bytes_.data() + at, text.size());
    return *this;
  }
  /// The signature of boot and information sectors.
  Sector& sign() { return put(510, 0xaa55, 2); }
  void write(std::ofstream& out, u64 number) const {
    out.seekp(static_cast<std::streamoff>(number * kSectorBytes));
    out.write(bytes_.data(), bytes_.size());
  }

 private:
  std::array<char, kSectorBytes> bytes_{};
};

Sector boot_sector() {
  return Sector()
      .put(0, 0x9058eb, 3)  // a jump over the parameters, into nothing: the disk does not boot
      .put(3, "AXVISOR ")
      .put(11, kSectorBytes, 2)
      .put(13, 1, 1)  // sectors of a cluster
      .put(14, kReservedSectors, 2)
      .put(16, kFatCopies, 1)
      .put(21, kMedia, 1)
      .put(24, 32, 2)  // sectors of a track, heads: as BIOSes assume them
      .put(26, 64, 2)
      .put(32, kSectors, 4)
      .put(36, kFatSectors, 4)
      .put(44, kRootCluster, 4)
      .put(48, kInfoSector, 2)
      .put(50, kBackupSector, 2)
      .put(64, 0x80, 1)
      .put(66, 0x29, 1)
      .put(67, kVolumeId, 4)
      .put(71, "NO NAME    ")
      .put(82, "FAT32   ")
      .sign();
}

Sector information_sector() {
  return Sector()
      .put(0, "RRaA")
      .put(484, "rrAa")
      .put(488, kClusters - 1, 4)  // free: all but the root folder
      .put(492, kRootCluster + 1, 4)
      .sign();
}

void write_file_system(std::ofstream& out) {
  for (const u32 start : {0U, kBackupSector}) {
    boot_sector().write(out, start);
    information_sector().write(out, start + kInfoSector);
    Sector().sign().write(out, start + 2);
  }
  const Sector fat = Sector().put(0, 0x0fff'ff00 | kMedia, 4).put(4, kEndOfChain, 4).put(8, kEndOfChain, 4);
  for (u32 copy = 0; copy < kFatCopies; ++copy) fat.write(out, kReservedSectors + u64{copy} * kFatSectors);
  Sector().write(out, kSectors - 1);
}

}  // namespace

std::expected<void, std::string> make_disk_image(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error)) return {};
  const auto failed = [&] {
    return std::unexpected(fmt::format("cannot write the disk {}: {}", path.string(), std::strerror(errno)));
  };
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  const fs::path temporary = fmt::format("{}.{}", path.string(), getpid());
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  if (!out) return failed();
  write_file_system(out);
  out.close();
  if (out && std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const auto result = failed();
  fs::remove(temporary, error);
  return result;
}

}  // namespace ax::app
