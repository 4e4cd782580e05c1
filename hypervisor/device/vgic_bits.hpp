// Constants and helpers that the vGIC's source files share.
#pragma once

#include <bit>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

inline constexpr u32 kSgiMask = 0xffff;        ///< SGIs in the word of private interrupts
inline constexpr u32 kEnableGroup0 = 1u << 0;  ///< GICD_CTLR
inline constexpr u32 kEnableGroup1 = 1u << 1;  ///< GICD_CTLR

/// Access sizes in a register table row.
inline constexpr u8 kWord = 4;
inline constexpr u8 kByteOrWord = 1 | 4;
inline constexpr u8 kWordOrDouble = 4 | 8;

/// Calls visit(n) for every set bit of `bits` as they were at the call, lowest first.
template <class Visit>
constexpr void for_each_bit(u32 bits, Visit visit) {
  for (; bits != 0; bits &= bits - 1) visit(static_cast<unsigned>(std::countr_zero(bits)));
}

}  // namespace hv
