#include "tools/config/kernel_image.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

namespace ax::config {
namespace fs = std::filesystem;
namespace {

constexpr u64 kSaneLimit = u64{1} << 40;  // a damaged header must not look like an enormous image

/// The start of a file, read as little-endian numbers; what lies behind its end reads as 0.
class Header {
 public:
  static constexpr usize kBytes = 16_KiB;  // with the program headers of any kernel

  explicit Header(std::ifstream& in) : bytes_(kBytes) {
    in.read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    bytes_.resize(static_cast<usize>(in.gcount()));
  }

  u64 number(u64 at, usize size) const {
    u64 value = 0;
    for (usize i = size; i-- > 0;) value = value << 8 | (at + i < bytes_.size() ? byte(at + i) : 0U);
    return value;
  }
  bool holds(u64 at, u64 size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  unsigned char byte(u64 at) const { return static_cast<unsigned char>(bytes_[static_cast<usize>(at)]); }
  std::vector<char> bytes_;
};

/// Linux Documentation/arm64/booting.rst: image_size covers what the kernel clears behind its file.
void read_arm64(const Header& header, u64 file_size, KernelImage& image) {
  constexpr u64 kImageSizeAt = 16;
  const u64 size = header.number(kImageSizeAt, 8);
  image.memory_size = size < kSaneLimit ? std::max(file_size, size) : file_size;
}

/// Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
void read_bzimage(const Header& header, u64 file_size, KernelImage& image) {
  constexpr u64 kSetupSectorsAt = 0x1f1, kVersionAt = 0x206, kAlignmentAt = 0x230, kRelocatableAt = 0x234,
                kLoadFlagsAt = 0x236, kPreferredAt = 0x258, kInitSizeAt = 0x260;
  constexpr u64 kSectorSize = 512, kDefaultSectors = 4, kFirst64BitVersion = 0x20c, kLoadFlagKernel64 = 1;
  const u64 sectors = header.number(kSetupSectorsAt, 1);
  const u64 setup = ((sectors == 0 ? kDefaultSectors : sectors) + 1) * kSectorSize;
  image.load_address = header.number(kPreferredAt, 8);
  image.alignment = header.number(kRelocatableAt, 1) != 0 ? std::max<u64>(header.number(kAlignmentAt, 4), 1) : 0;
  image.memory_size = std::max(header.number(kInitSizeAt, 4), file_size - std::min(setup, file_size));
  if (header.number(kVersionAt, 2) < kFirst64BitVersion || (header.number(kLoadFlagsAt, 2) & kLoadFlagKernel64) == 0) {
    image.problem = "is a bzImage without a 64-bit entry point (boot protocol 2.12)";
  } else if (setup >= file_size || image.load_address >= kSaneLimit) {
    image.problem = "has a damaged bzImage header";
  }
}

/// System V ABI, "Program Header": the offsets of the fields in both classes.
struct ElfClass {
  u8 tag;  ///< EI_CLASS
  usize word;
  u64 program_headers_at, header_size_at, header_count_at;
  u64 physical_address_at, memory_size_at;
};
constexpr ElfClass kElfClasses[] = {{1, 4, 0x1c, 0x2a, 0x2c, 0x0c, 0x14}, {2, 8, 0x20, 0x36, 0x38, 0x18, 0x28}};

void read_elf(const Header& header, KernelImage& image) {
  constexpr u64 kClassAt = 4, kMachineAt = 18, kLoadable = 1, kMachine386 = 3, kMachineX86 = 62;
  const auto elf = std::ranges::find(kElfClasses, header.number(kClassAt, 1), &ElfClass::tag);
  const u64 machine = header.number(kMachineAt, 2);
  if (elf == std::end(kElfClasses) || (machine != kMachine386 && machine != kMachineX86)) {
    image.problem = "is an ELF file for another machine";
    return;
  }
  image.problem = "is a damaged ELF file, or one with nothing to load";
  const u64 table = header.number(elf->program_headers_at, elf->word);
  const u64 size = header.number(elf->header_size_at, 2);
  const u64 count = header.number(elf->header_count_at, 2);
  if (size < elf->memory_size_at + elf->word || !header.holds(table, size * count)) return;
  u64 lowest = kSaneLimit, end = 0;
  for (u64 at = table; at < table + size * count; at += size) {
    const u64 address = header.number(at + elf->physical_address_at, elf->word);
    const u64 bytes = header.number(at + elf->memory_size_at, elf->word);
    if (header.number(at, 4) != kLoadable || bytes == 0) continue;
    if (address >= kSaneLimit || bytes >= kSaneLimit) return;
    lowest = std::min(lowest, address);
    end = std::max(end, address + bytes);
  }
  if (end == 0) return;
  image.load_address = lowest;
  image.memory_size = end - lowest;
  image.problem = {};
}

}  // namespace

std::optional<KernelImage> inspect_kernel(const fs::path& path) {
  std::error_code error;
  const u64 file_size = fs::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) return std::nullopt;
  const Header header(in);
  KernelImage image;
  image.format = hv::kernel_format(header.bytes());
  image.memory_size = file_size;
  switch (image.format) {
    case hv::KernelFormat::Flat: break;
    case hv::KernelFormat::Arm64Image: read_arm64(header, file_size, image); break;
    case hv::KernelFormat::BzImage: read_bzimage(header, file_size, image); break;
    case hv::KernelFormat::Elf: read_elf(header, image); break;
  }
  return image;
}

}  // namespace ax::config
