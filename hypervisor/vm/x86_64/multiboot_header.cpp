#include "hypervisor/vm/x86_64/multiboot_header.hpp"

#include <algorithm>

namespace hv {
namespace {

constexpr u32 kMagic = 0x1bad'b002;
constexpr usize kSearched = 8192, kSize = 12, kSizeWithAddresses = 32;
constexpr usize kFlags = 4, kChecksum = 8, kHeaderAddress = 12, kLoad = 16, kLoadEnd = 20, kBssEnd = 24, kEntry = 28;

}  // namespace

std::optional<MultibootHeader> MultibootHeader::find(std::span<const std::byte> file) {
  const usize end = std::min(file.size(), kSearched);
  for (usize at = 0; at + kSize <= end; at += sizeof(u32)) {
    if (little_endian(file, at, 4) != kMagic) continue;
    const u32 flags = static_cast<u32>(little_endian(file, at + kFlags, 4));
    if (static_cast<u32>(kMagic + flags + little_endian(file, at + kChecksum, 4)) == 0)
      return MultibootHeader{at, flags};
  }
  return std::nullopt;
}

std::expected<MultibootHeader::Placement, LayoutError> MultibootHeader::placement(
    std::span<const std::byte> file) const {
  const auto damaged = [] {
    return reject(Error::Malformed, "the addresses in the kernel's Multiboot header are impossible");
  };
  if (file.size() - at < kSizeWithAddresses) return damaged();
  const auto field = [&](usize offset) { return little_endian(file, at + offset, 4); };
  const u64 load = field(kLoad), load_end = field(kLoadEnd), bss_end = field(kBssEnd), entry = field(kEntry);
  const u64 in_front =
      field(kHeaderAddress) - load;  // bytes that are loaded before the header; wraps if that is none of them
  if (in_front > at) return damaged();
  const std::span rest = file.subspan(at - in_front);
  const u64 size = load_end == 0 ? rest.size() : load_end - load;  // 0: all of the file
  if (size > rest.size()) return damaged();
  const u64 memory_size = bss_end == 0 ? size : bss_end - load;  // 0: no bss
  if (memory_size < size || memory_size > ~u32{0} || entry - load >= memory_size) return damaged();
  return Placement{Gpa(load), rest.first(size), memory_size, entry};
}

}  // namespace hv
