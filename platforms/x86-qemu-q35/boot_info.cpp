#include "platforms/x86-qemu-q35/boot_info.hpp"

#include <algorithm>

#include "platforms/common/ranges.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"

namespace ax::platform {
namespace {

using mm::load_le;
using Bytes = std::span<const std::byte>;

/// The memory types of E820, which all protocols have taken over; whatever is not 1 is not ours.
constexpr u32 kUsable = 1;
constexpr u64 kMaxTextSize = 4096;
constexpr u64 kMaxInfoSize = 1_MiB;

class Reader {
 public:
  Reader(const mm::PhysicalWindow& memory, std::span<char> texts) : memory_(memory), texts_(texts) {}

  Result<void> multiboot1(Hpa address);
  Result<void> multiboot2(Hpa address);
  Result<void> pvh(Hpa address);

  Result<BootInfo> finish() {
    if (info_.ram.empty()) return fail(Error::NotFound);
    sort_and_join(info_.ram);
    sort_and_join(info_.reserved);
    return info_;
  }

 private:
  Result<Bytes> read(Hpa address, u64 size) const {
    const Bytes bytes = memory_.read(address, size);
    if (bytes.size() != size) return fail(Error::OutOfRange);
    return bytes;
  }

  void add_memory(u64 base, u64 size, u32 type) {
    const HpaRange range{Hpa(base), std::min(size, ~u64{0} - base)};
    type == kUsable ? add(info_.ram, whole_pages_within(range)) : add(info_.reserved, whole_pages_around(range));
  }

  template <usize N>
  void add(StaticVector<HpaRange, N>& ranges, HpaRange range) {
    if (range.empty()) return;
    if (ranges.full()) sort_and_join(ranges);
    if (!ranges.push_back(range)) info_.incomplete = true;
  }

  void add_module(u64 begin, u64 size, std::string_view name) {
    const HpaRange range{Hpa(begin), size};
    if (size == 0 || !range.fits()) return;
    if (!info_.modules.push_back({keep(name), range})) info_.incomplete = true;
  }

  /// The text at `address`, up to its terminating zero.
  std::string_view text_at(Hpa address) const {
    if (address == Hpa(0)) return {};
    u64 length = 0;
    while (length < kMaxTextSize) {
      const Bytes byte = memory_.read(address + length, 1);
      if (byte.empty() || byte[0] == std::byte{0}) break;
      ++length;
    }
    return text_of(memory_.read(address, length));
  }
  static std::string_view text_of(Bytes bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.substr(0, text.find('\0'));
  }

  /// Moves a text to memory of ours.
  std::string_view keep(std::string_view text) {
    const usize length = std::min(text.size(), texts_.size());
    if (length != 0) __builtin_memmove(texts_.data(), text.data(), length);
    const std::string_view kept(texts_.data(), length);
    texts_ = texts_.subspan(length);
    return kept;
  }

  Result<void> multiboot2_tag(Hpa address, u32 type, Bytes tag);

  const mm::PhysicalWindow& memory_;
  std::span<char> texts_;
  BootInfo info_;
};

// ---- Multiboot 1 (3.3) -----------------------------------------------------------------------------------------------

Result<void> Reader::multiboot1(Hpa address) {
  constexpr u32 kHasCommandLine = 1 << 2, kHasModules = 1 << 3, kHasMemoryMap = 1 << 6;
  constexpr u64 kInfoSize = 52, kModuleSize = 16, kEntrySize = 20;
  info_.protocol = "Multiboot";
  const Bytes info = TRY(read(address, kInfoSize));
  const u32 flags = load_le<u32>(info, 0);
  if ((flags & kHasCommandLine) != 0) info_.command_line = keep(text_at(Hpa(load_le<u32>(info, 16))));

  const u32 module_count = (flags & kHasModules) != 0 ? load_le<u32>(info, 20) : 0;
  for (u32 i = 0; i < std::min<u32>(module_count, kMaxModules + 1); ++i) {
    const Bytes module = TRY(read(Hpa(load_le<u32>(info, 24)) + i * kModuleSize, kModuleSize));
    const u32 begin = load_le<u32>(module, 0), end = load_le<u32>(module, 4);
    if (end > begin) add_module(begin, end - begin, text_at(Hpa(load_le<u32>(module, 8))));
  }

  if ((flags & kHasMemoryMap) == 0) return fail(Error::NotFound);
  const u64 length = load_le<u32>(info, 44);
  if (length > kMaxInfoSize) return fail(Error::Malformed);
  const Bytes map = TRY(read(Hpa(load_le<u32>(info, 48)), length));
  for (u64 at = 0; at + sizeof(u32) + kEntrySize <= map.size();) {
    const u64 size = load_le<u32>(map, at);  // of what follows it
    if (size < kEntrySize) return fail(Error::Malformed);
    add_memory(load_le<u64>(map, at + 4), load_le<u64>(map, at + 12), load_le<u32>(map, at + 20));
    at += sizeof(u32) + size;
  }
  return {};
}

// ---- Multiboot 2 (3.6) -----------------------------------------------------------------------------------------------

enum class Multiboot2Tag : u32 { End = 0, CommandLine = 1, Module = 3, MemoryMap = 6, OldRsdp = 14, NewRsdp = 15 };

Result<void> Reader::multiboot2_tag(Hpa address, u32 type, Bytes tag) {
  constexpr u64 kHeaderSize = 8;
  switch (static_cast<Multiboot2Tag>(type)) {
    case Multiboot2Tag::CommandLine: info_.command_line = keep(text_of(tag.subspan(kHeaderSize))); break;
    case Multiboot2Tag::Module: {
      if (tag.size() < 16) return fail(Error::Malformed);
      const u32 begin = load_le<u32>(tag, 8), end = load_le<u32>(tag, 12);
      if (end > begin) add_module(begin, end - begin, text_of(tag.subspan(16)));
      break;
    }
    case Multiboot2Tag::MemoryMap: {
      if (tag.size() < 16) return fail(Error::Malformed);
      const u64 entry_size = load_le<u32>(tag, 8);
      if (entry_size < 20) return fail(Error::Malformed);
      for (u64 at = 16; at + entry_size <= tag.size(); at += entry_size) {
        add_memory(load_le<u64>(tag, at), load_le<u64>(tag, at + 8), load_le<u32>(tag, at + 16));
      }
      break;
    }
    case Multiboot2Tag::OldRsdp:
      if (info_.rsdp == Hpa(0)) info_.rsdp = address + kHeaderSize;
      break;
    case Multiboot2Tag::NewRsdp: info_.rsdp = address + kHeaderSize; break;
    case Multiboot2Tag::End: break;
  }
  return {};
}

Result<void> Reader::multiboot2(Hpa address) {
  constexpr u64 kHeaderSize = 8, kTagAlignment = 8;
  info_.protocol = "Multiboot 2";
  const u64 total = load_le<u32>(TRY(read(address, kHeaderSize)), 0);
  if (total < kHeaderSize || total > kMaxInfoSize) return fail(Error::Malformed);
  const Bytes info = TRY(read(address, total));
  for (u64 at = kHeaderSize; at + kHeaderSize <= total;) {
    const u32 type = load_le<u32>(info, at);
    const u64 size = load_le<u32>(info, at + 4);
    if (size < kHeaderSize || size > total - at) return fail(Error::Malformed);
    if (type == static_cast<u32>(Multiboot2Tag::End)) break;
    TRY(multiboot2_tag(address + at, type, info.subspan(at, size)));
    at += align_up(size, kTagAlignment);
  }
  return {};
}

// ---- PVH (Xen public/arch-x86/hvm/start_info.h) ----------------------------------------------------------------------

Result<void> Reader::pvh(Hpa address) {
  constexpr u64 kInfoSize = 56, kModuleSize = 32, kEntrySize = 24;
  constexpr u32 kMaxEntries = 1024;
  info_.protocol = "PVH";
  const Bytes info = TRY(read(address, kInfoSize));
  if (load_le<u32>(info, 0) != PVH_MAGIC) return fail(Error::Malformed);
  if (load_le<u32>(info, 4) == 0) return fail(Error::NotFound);  // version 0 has no memory map
  info_.command_line = keep(text_at(Hpa(load_le<u64>(info, 24))));
  info_.rsdp = Hpa(load_le<u64>(info, 32));

  const u32 module_count = load_le<u32>(info, 12);
  for (u32 i = 0; i < std::min<u32>(module_count, kMaxModules + 1); ++i) {
    const Bytes module = TRY(read(Hpa(load_le<u64>(info, 16)) + i * kModuleSize, kModuleSize));
    add_module(load_le<u64>(module, 0), load_le<u64>(module, 8), text_at(Hpa(load_le<u64>(module, 16))));
  }

  const u32 entries = load_le<u32>(info, 48);
  if (entries > kMaxEntries) return fail(Error::Malformed);
  for (u32 i = 0; i < entries; ++i) {
    const Bytes entry = TRY(read(Hpa(load_le<u64>(info, 40)) + i * kEntrySize, kEntrySize));
    add_memory(load_le<u64>(entry, 0), load_le<u64>(entry, 8), load_le<u32>(entry, 16));
  }
  return {};
}

}  // namespace

Result<BootInfo> read_boot_info(const mm::PhysicalWindow& memory, u32 magic, Hpa address, std::span<char> texts) {
  Reader reader(memory, texts);
  switch (magic) {
    case MULTIBOOT1_MAGIC: TRY(reader.multiboot1(address)); break;
    case MULTIBOOT2_MAGIC: TRY(reader.multiboot2(address)); break;
    case PVH_MAGIC: TRY(reader.pvh(address)); break;
    default: return fail(Error::NotSupported);
  }
  return reader.finish();
}

}  // namespace ax::platform
