#include "kernel/fdt/writer.hpp"

#include <algorithm>

#include "kernel/fdt/format.hpp"

namespace ax::fdt {
namespace {

void store_be32(std::span<std::byte> bytes, usize offset, u32 value) {
  for (usize i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

u32 hash(std::string_view text) {  // FNV-1a
  u32 value = 0x811c9dc5;
  for (char c : text) value = (value ^ static_cast<u8>(c)) * 0x01000193;
  return value;
}

}  // namespace

Writer::Writer(std::span<std::byte> buffer) : buffer_(buffer), position_(kHeaderSize) {
  if (buffer_.size() < kHeaderSize) abort(Error::OutOfMemory);
  // Offsets and sizes of the format have 32 bits.
  constexpr usize kLargest = 1u << 31;
  if (buffer_.size() > kLargest) buffer_ = buffer_.first(kLargest);
}

bool Writer::room_for(usize count) {
  if (failed_) return false;
  if (count <= buffer_.size() - strings_size_ - position_) return true;
  abort(Error::OutOfMemory);
  return false;
}

void Writer::put(u32 value) {
  if (!room_for(kTokenSize)) return;
  store_be32(buffer_, position_, value);
  position_ += kTokenSize;
}

void Writer::put_text(std::string_view text) {
  if (!room_for(text.size() + 1)) return;
  for (char c : text) buffer_[position_++] = static_cast<std::byte>(c);
  buffer_[position_++] = std::byte{0};
}

void Writer::pad() {
  while (!failed_ && !is_aligned(position_, kTokenSize)) {
    if (room_for(1)) buffer_[position_++] = std::byte{0};
  }
}

void Writer::reserve(u64 address, u64 size) {
  if (structure_begin_ != 0) return abort(Error::BadState);
  for (u64 value : {address, size}) {
    put(static_cast<u32>(value >> 32));
    put(static_cast<u32>(value));
  }
}

void Writer::begin_structure() {
  reserve(0, 0);
  structure_begin_ = position_;
}

void Writer::begin_node(std::string_view name) {
  if (structure_begin_ == 0) begin_structure();
  if (complete_ || depth_ == kMaxDepth) return abort(Error::BadState);
  if (name.empty() != (depth_ == 0) || name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos) {
    return abort(Error::InvalidArgument);
  }
  put(kTokenBeginNode);
  put_text(name);
  pad();
  ++depth_;
  children_begun_ = false;
}

void Writer::end_node() {
  if (depth_ == 0) return abort(Error::BadState);
  put(kTokenEndNode);
  children_begun_ = true;
  complete_ = --depth_ == 0;
}

/// How far before the end of the buffer the name begins. Names that are used again are nearly always found; the few that
/// the table has no room for are stored twice.
u32 Writer::name_distance(std::string_view name) {
  const u32 key = hash(name);
  u32* free_slot = nullptr;
  for (usize probe = 0; probe < kProbes; ++probe) {
    u32& slot = name_slots_[(key + probe) % kNameSlots];
    if (slot == 0) {
      free_slot = &slot;
      break;
    }
    const char* known = reinterpret_cast<const char*>(buffer_.data() + buffer_.size() - slot);
    if (slot > name.size() && std::string_view(known, name.size()) == name && known[name.size()] == '\0') return slot;
  }
  if (!room_for(name.size() + 1)) return 0;
  strings_size_ += name.size() + 1;
  const u32 distance = static_cast<u32>(strings_size_);
  std::byte* target = buffer_.data() + buffer_.size() - distance;
  for (char c : name) *target++ = static_cast<std::byte>(c);
  *target = std::byte{0};
  if (free_slot != nullptr) *free_slot = distance;
  return distance;
}

bool Writer::begin_property(std::string_view name, usize size) {
  if (depth_ == 0 || children_begun_) abort(Error::BadState);
  if (name.empty() || name.find('\0') != std::string_view::npos) abort(Error::InvalidArgument);
  if (!room_for(kPropertyHeaderSize + name.size() + 1) || !room_for(size)) return false;
  const u32 distance = name_distance(name);
  if (!room_for(kPropertyHeaderSize + size)) return false;
  put(kTokenProperty);
  put(static_cast<u32>(size));
  put(distance);  // finish() turns it into the offset from the block's begin
  return !failed_;
}

void Writer::property(std::string_view name, u32 value) {
  if (begin_property(name, 4)) put(value);
}

void Writer::property(std::string_view name, u64 value) {
  if (!begin_property(name, 8)) return;
  put(static_cast<u32>(value >> 32));
  put(static_cast<u32>(value));
}

void Writer::string(std::string_view name, std::string_view text) { strings(name, {text}); }

void Writer::strings(std::string_view name, std::initializer_list<std::string_view> texts) {
  usize size = 0;
  for (std::string_view text : texts) {
    if (text.find('\0') != std::string_view::npos) return abort(Error::InvalidArgument);
    size += text.size() + 1;
  }
  if (!begin_property(name, size)) return;
  for (std::string_view text : texts) put_text(text);
  pad();
}

void Writer::cells(std::string_view name, const Cells& values) {
  if (values.overflow()) return abort(Error::OutOfMemory);
  if (!begin_property(name, values.values().size() * 4)) return;
  for (u32 value : values.values()) put(value);
}

void Writer::bytes(std::string_view name, std::span<const std::byte> data) {
  if (!begin_property(name, data.size())) return;
  std::copy(data.begin(), data.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
  position_ += data.size();
  pad();
}

void Writer::resolve_names(usize offset, usize end) {
  while (offset < end) {
    switch (load_be32(buffer_, offset)) {
      case kTokenBeginNode:
        offset += kTokenSize;
        while (buffer_[offset] != std::byte{0}) ++offset;
        offset = align_up(offset + 1, kTokenSize);
        break;
      case kTokenProperty: {
        const u32 distance = load_be32(buffer_, offset + 8);
        store_be32(buffer_, offset + 8, static_cast<u32>(strings_size_) - distance);
        offset = align_up(offset + kPropertyHeaderSize + load_be32(buffer_, offset + 4), kTokenSize);
        break;
      }
      default: offset += kTokenSize; break;
    }
  }
}

Result<usize> Writer::finish(u32 boot_cpu) {
  if (!complete_) abort(Error::BadState);
  put(kTokenEnd);
  if (failed_) return fail(error_);
  resolve_names(structure_begin_, position_);
  const auto strings = buffer_.last(strings_size_);
  std::copy(strings.begin(), strings.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
  const usize total = position_ + strings_size_;

  store_be32(buffer_, kHeaderMagic, kMagic);
  store_be32(buffer_, kHeaderTotalSize, static_cast<u32>(total));
  store_be32(buffer_, kHeaderStructureOffset, static_cast<u32>(structure_begin_));
  store_be32(buffer_, kHeaderStringsOffset, static_cast<u32>(position_));
  store_be32(buffer_, kHeaderReservationsOffset, kHeaderSize);
  store_be32(buffer_, kHeaderVersion, kVersion);
  store_be32(buffer_, kHeaderLastCompatibleVersion, kLastCompatibleVersion);
  store_be32(buffer_, kHeaderBootCpu, boot_cpu);
  store_be32(buffer_, kHeaderStringsSize, static_cast<u32>(strings_size_));
  store_be32(buffer_, kHeaderStructureSize, static_cast<u32>(position_ - structure_begin_));
  failed_ = true;  // the buffer is a tree now: nothing may be added
  return total;
}

}  // namespace ax::fdt
