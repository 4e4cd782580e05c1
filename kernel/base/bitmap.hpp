// A set of small numbers.
#pragma once

#include <array>
#include <bit>
#include <optional>

#include "kernel/base/types.hpp"

namespace ax {

/// A subset of [0, N). Numbers outside are never members; setting one does nothing. Not locked.
template <usize N>
class Bitmap {
 public:
  static constexpr usize capacity() { return N; }

  constexpr bool test(usize i) const { return i < N && (words_[i / kBits] >> (i % kBits) & 1) != 0; }
  constexpr void set(usize i) {
    if (i < N) words_[i / kBits] |= u64{1} << (i % kBits);
  }
  constexpr void clear(usize i) {
    if (i < N) words_[i / kBits] &= ~(u64{1} << (i % kBits));
  }
  constexpr void assign(usize i, bool member) { member ? set(i) : clear(i); }
  constexpr void clear_all() { words_ = {}; }

  constexpr usize count() const {
    usize n = 0;
    for (u64 word : words_) n += static_cast<usize>(std::popcount(word));
    return n;
  }
  constexpr bool none() const { return !first_set().has_value(); }

  /// The smallest member that is not less than `from`.
  constexpr std::optional<usize> first_set(usize from = 0) const { return search(from, 0); }
  /// The smallest number that is not a member and not less than `from`.
  constexpr std::optional<usize> first_clear(usize from = 0) const { return search(from, ~u64{0}); }

  friend constexpr bool operator==(const Bitmap&, const Bitmap&) = default;

 private:
  static constexpr usize kBits = 64;

  constexpr std::optional<usize> search(usize from, u64 flip) const {
    for (usize i = from / kBits; from < N && i < words_.size(); ++i) {
      u64 word = words_[i] ^ flip;
      if (i == from / kBits) word &= ~u64{0} << (from % kBits);
      if (word == 0) continue;
      const usize found = i * kBits + static_cast<usize>(std::countr_zero(word));
      if (found >= N) break;
      return found;
    }
    return std::nullopt;
  }

  std::array<u64, (N + kBits - 1) / kBits> words_{};
};

}  // namespace ax
