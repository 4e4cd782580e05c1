#include "hypervisor/vm/x86_64/elf_image.hpp"

#include <algorithm>

namespace hv {
namespace {

/// Where the two classes keep what is read.
struct Format {
  u8 word;
  u8 header_size, entry, table, entry_size, entry_count;
  u8 offset, virtual_address, physical_address, file_size, memory_size, program_header_size;
};
constexpr Format k32{4, 52, 24, 28, 42, 44, 4, 8, 12, 16, 20, 32};
constexpr Format k64{8, 64, 24, 32, 54, 56, 8, 16, 24, 32, 40, 56};

constexpr usize kClass = 4, kData = 5, kMachine = 18;
constexpr u8 kClass32 = 1, kClass64 = 2, kLittleEndian = 1;
constexpr u16 kMachine386 = 3, kMachineX86_64 = 62;
constexpr u32 kLoadable = 1, kNote = 4;
constexpr u32 kPvhEntryType = 18;
constexpr char kPvhOwner[] = "Xen";

/// The description of the note `type` of `owner`, its first four or eight bytes. A note is: name size, description
/// size, type, name, description, each padded to four bytes.
std::optional<u64> find_note(std::span<const std::byte> notes, std::span<const char> owner, u32 type) {
  constexpr usize kNoteHeader = 12;
  while (notes.size() >= kNoteHeader) {
    const u64 name_size = little_endian(notes, 0, 4), size = little_endian(notes, 4, 4);
    const u32 found = static_cast<u32>(little_endian(notes, 8, 4));
    const u64 description = kNoteHeader + align_up(name_size, 4);
    const u64 end = description + align_up(size, 4);
    if (description + size > notes.size()) return std::nullopt;
    const bool named =
        name_size == owner.size() && std::ranges::equal(notes.subspan(kNoteHeader, name_size), std::as_bytes(owner));
    if (named && found == type && size >= sizeof(u32))
      return little_endian(notes, description, size >= sizeof(u64) ? sizeof(u64) : sizeof(u32));
    if (end >= notes.size()) return std::nullopt;
    notes = notes.subspan(end);
  }
  return std::nullopt;
}

}  // namespace

std::expected<ElfImage, LayoutError> ElfImage::parse(std::span<const std::byte> file) {
  const auto damaged = [] { return reject(Error::Malformed, "the kernel is a damaged ELF file"); };
  if (file.size() < k32.header_size) return damaged();
  const u64 elf_class = little_endian(file, kClass, 1), machine = little_endian(file, kMachine, 2);
  const bool machine_known =
      elf_class == kClass64 ? machine == kMachineX86_64 : machine == kMachine386 || machine == kMachineX86_64;
  if ((elf_class != kClass32 && elf_class != kClass64) || little_endian(file, kData, 1) != kLittleEndian ||
      !machine_known) {
    return reject(Error::NotSupported, "the kernel is an ELF file for another machine");
  }
  const Format& f = elf_class == kClass64 ? k64 : k32;
  if (file.size() < f.header_size) return damaged();

  ElfImage image;
  image.entry = little_endian(file, f.entry, f.word);
  const u64 table = little_endian(file, f.table, f.word), step = little_endian(file, f.entry_size, 2),
            count = little_endian(file, f.entry_count, 2);
  if (step < f.program_header_size || table > file.size() || step * count > file.size() - table) return damaged();
  u64 entry = image.entry;
  for (u64 i = 0; i < count; ++i) {
    const std::span header = file.subspan(table + i * step, f.program_header_size);
    const auto field = [&](u8 at) { return little_endian(header, at, f.word); };
    const u64 type = little_endian(header, 0, 4), offset = field(f.offset), file_size = field(f.file_size),
              memory_size = field(f.memory_size);
    if (type != kLoadable && type != kNote) continue;
    if (offset > file.size() || file_size > file.size() - offset) return damaged();
    const std::span bytes = file.subspan(offset, file_size);
    if (type == kNote) {
      if (const auto pvh = find_note(bytes, kPvhOwner, kPvhEntryType); pvh && !image.pvh_entry)
        image.pvh_entry = static_cast<u32>(*pvh);
      continue;
    }
    if (memory_size == 0) continue;
    if (memory_size < file_size) return damaged();
    const Gpa address(field(f.physical_address));
    const u64 virtual_address = field(f.virtual_address);
    if (image.entry - virtual_address < memory_size) entry = address.value() + (image.entry - virtual_address);
    if (!image.segments.push_back({address, bytes, memory_size}))
      return reject(Error::OutOfMemory, "the kernel has too many segments");
  }
  image.entry = entry;
  if (image.segments.empty()) return reject(Error::Malformed, "the kernel is an ELF file with nothing to load");
  return image;
}

}  // namespace hv
