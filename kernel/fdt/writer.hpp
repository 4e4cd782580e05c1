// Builds a flattened device tree (version 17) in a caller's buffer, without allocation.
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"
#include "kernel/fdt/reader.hpp"

namespace ax::fdt {

/// A list of cells that is put together number by number: `reg`, `ranges`, `interrupts`. Numbers that do not fit are
/// dropped and make `overflow()` true, which Writer::cells() turns into an error.
class Cells {
 public:
  static constexpr usize kCapacity = 256;

  constexpr Cells() = default;
  constexpr Cells(std::initializer_list<u32> values) {
    for (u32 v : values) add(v);
  }
  constexpr Cells& add(u32 value) {
    if (!values_.push_back(value)) overflow_ = true;
    return *this;
  }
  /// `value` as `count` cells, most significant first; 0 cells add nothing.
  constexpr Cells& number(u64 value, u32 count) {
    for (u32 i = count; i-- > 0;) add(i < 2 ? static_cast<u32>(value >> (32 * i)) : 0);
    return *this;
  }
  constexpr std::span<const u32> values() const { return values_; }
  constexpr bool overflow() const { return overflow_; }

 private:
  StaticVector<u32, kCapacity> values_;
  bool overflow_ = false;
};

/// The first error sticks: later calls do nothing and finish() returns it, so that callers check once. Order: reserve()
/// any number of times, then one root node; inside a node its properties come before its children.
class Writer {
 public:
  /// The tree is built in place; `buffer` must stay until finish().
  explicit Writer(std::span<std::byte> buffer);

  /// Adds an entry to the memory reservation block.
  void reserve(u64 address, u64 size);

  /// The root's name is empty.
  void begin_node(std::string_view name);
  void end_node();

  void flag(std::string_view name) { bytes(name, {}); }
  void property(std::string_view name, u32 value);
  void property(std::string_view name, u64 value);
  void string(std::string_view name, std::string_view text);
  void strings(std::string_view name, std::initializer_list<std::string_view> texts);
  void cells(std::string_view name, const Cells& values);
  void bytes(std::string_view name, std::span<const std::byte> data);
  void copy(const Property& property) { bytes(property.name, property.data); }

  /// Records an error of the caller, to be returned by finish().
  void abort(Error error) { if (!failed_) failed_ = true, error_ = error; }

  /// Completes the tree and returns its size in bytes; it begins with the buffer. Errors: OutOfMemory when the buffer was
  /// too small, InvalidArgument for an impossible name, BadState when the calls came in the wrong order.
  Result<usize> finish(u32 boot_cpu = 0);

 private:
  static constexpr usize kNameSlots = 512;
  static constexpr usize kProbes = 8;

  bool room_for(usize count);
  void put(u32 value);
  void put_text(std::string_view text);
  void pad();
  bool begin_property(std::string_view name, usize size);
  u32 name_distance(std::string_view name);
  void begin_structure();
  void resolve_names(usize structure_begin, usize structure_end);

  std::span<std::byte> buffer_;
  usize position_;       ///< end of header, reservations and structure block so far
  usize strings_size_ = 0;  ///< names collect at the end of the buffer, downwards
  usize structure_begin_ = 0;
  usize depth_ = 0;
  bool children_begun_ = false;
  bool complete_ = false;
  bool failed_ = false;
  Error error_ = Error::BadState;
  std::array<u32, kNameSlots> name_slots_{};  ///< hash table of distances from the buffer's end; 0 = free
};

}  // namespace ax::fdt
