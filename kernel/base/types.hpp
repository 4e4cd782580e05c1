// Integer names, size units and address types that cannot be mixed up.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace ax {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;
static_assert(sizeof(std::uintptr_t) == 8 && sizeof(usize) == 8, "every address fits a u64 and the other way round");

inline namespace literals {
constexpr u64 operator""_KiB(unsigned long long n) { return n << 10; }
constexpr u64 operator""_MiB(unsigned long long n) { return n << 20; }
constexpr u64 operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

/// Size of a page frame and of the smallest translation granule, on every architecture.
inline constexpr u64 kPageSize = 4_KiB;
inline constexpr unsigned kPageShift = 12;

constexpr bool is_power_of_two(u64 n) { return n != 0 && (n & (n - 1)) == 0; }
/// `alignment` must be a power of two.
constexpr u64 align_down(u64 n, u64 alignment) { return n & ~(alignment - 1); }
/// `alignment` must be a power of two; wraps to 0 when the result does not fit.
constexpr u64 align_up(u64 n, u64 alignment) { return align_down(n + alignment - 1, alignment); }
constexpr bool is_aligned(u64 n, u64 alignment) { return (n & (alignment - 1)) == 0; }

/// An address in one address space. Different `Space` tags give different, unrelated types, so a
/// guest-physical address never reaches a function that wants a host one. Offsets are plain u64.
template <class Space>
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(u64 value) : value_(value) {}

  constexpr u64 value() const { return value_; }
  constexpr bool is_aligned(u64 alignment) const { return ax::is_aligned(value_, alignment); }
  constexpr Address align_down(u64 alignment) const { return Address(ax::align_down(value_, alignment)); }
  constexpr Address align_up(u64 alignment) const { return Address(ax::align_up(value_, alignment)); }

  friend constexpr Address operator+(Address a, u64 offset) { return Address(a.value_ + offset); }
  friend constexpr Address operator-(Address a, u64 offset) { return Address(a.value_ - offset); }
  friend constexpr u64 operator-(Address a, Address b) { return a.value_ - b.value_; }
  constexpr Address& operator+=(u64 offset) { value_ += offset; return *this; }
  friend constexpr auto operator<=>(Address, Address) = default;

 private:
  u64 value_ = 0;
};

/// Guest-physical address (Arm: IPA): what a guest believes to be physical.
using Gpa = Address<struct GuestPhysicalSpace>;
/// Host-physical address: what the machine's buses see.
using Hpa = Address<struct HostPhysicalSpace>;
/// Host-virtual address: what the hypervisor's own loads and stores use.
using Hva = Address<struct HostVirtualSpace>;

/// Half-open range [base, base + size). A range never wraps: builders check `fits()`.
template <class Addr>
struct Range {
  Addr base{};
  u64 size = 0;

  constexpr bool fits() const { return base.value() + size >= base.value(); }
  constexpr Addr end() const { return base + size; }
  constexpr bool empty() const { return size == 0; }
  constexpr bool contains(Addr a) const { return a >= base && a - base < size; }
  constexpr bool contains(Range other) const {
    return other.base >= base && other.base - base <= size && other.size <= size - (other.base - base);
  }
  constexpr bool overlaps(Range other) const {
    return !empty() && !other.empty() && base < other.end() && other.base < end();
  }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};
using GpaRange = Range<Gpa>;
using HpaRange = Range<Hpa>;

}  // namespace ax
