// What gcc's own library would provide: arithmetic that the target has no instruction for. Only g++ calls it. Board builds only.
#include "kernel/base/types.hpp"

/// Bits set in `value`, counted in parallel: in pairs, in nibbles, in bytes, and then summed by a multiplication.
extern "C" int __popcountdi2(ax::u64 value) {
  constexpr ax::u64 kPairs = 0x5555'5555'5555'5555, kNibbles = 0x3333'3333'3333'3333, kBytes = 0x0f0f'0f0f'0f0f'0f0f,
                    kSum = 0x0101'0101'0101'0101;
  value -= value >> 1 & kPairs;
  value = (value & kNibbles) + (value >> 2 & kNibbles);
  value = (value + (value >> 4)) & kBytes;
  return static_cast<int>(value * kSum >> 56);
}
