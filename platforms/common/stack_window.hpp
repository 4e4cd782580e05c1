// Virtual addresses for guarded stacks.
#pragma once

#include <array>
#include <bit>
#include <board_config.hpp>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::platform {

/// Places for stacks from `Base` on, above all physical addresses, so that a guard is simply what is not mapped and no
/// leaf of the identity map is ever split. A stack lies at the upper end of its place; the first page of a place is
/// never mapped.
template <u64 Base>
class StackPlaces {
 public:
  static constexpr u64 kBase = Base;
  static constexpr u64 kPlaceSize = std::bit_ceil(u64{board::kThreadStackSize} + kPageSize);
  static constexpr usize kPlaces = 512;
  static constexpr u64 kLargestStack = kPlaceSize - kPageSize;
  static constexpr u64 kEnd = kBase + kPlaces * kPlaceSize;

  /// The end of a free place, which is taken from now on: the top of its stack. Error: OutOfMemory.
  constexpr Result<Hva> take() {
    for (usize word = 0; word < taken_.size(); ++word) {
      const unsigned place = static_cast<unsigned>(std::countr_one(taken_[word]));
      if (place == kPlacesPerWord) continue;
      taken_[word] |= u64{1} << place;
      return Hva(kBase + (word * kPlacesPerWord + place + 1) * kPlaceSize);
    }
    return fail(Error::OutOfMemory);
  }

  /// `top` came from take().
  constexpr void give_back(Hva top) {
    const u64 place = (top.value() - kBase) / kPlaceSize - 1;
    taken_[place / kPlacesPerWord] &= ~(u64{1} << place % kPlacesPerWord);
  }

 private:
  static constexpr unsigned kPlacesPerWord = 64;
  std::array<u64, kPlaces / kPlacesPerWord> taken_{};
};

}  // namespace ax::platform
