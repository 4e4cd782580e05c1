#include "unikernel/core/random_bytes.hpp"

#include <arch/timer.hpp>

namespace ax::uni {

u64 random_word() {
  static constinit u64 state = 0;
  u64 word = 0;
  if (hardware_random(word)) return word;
  // SplitMix64 over the time of the question.
  state += 0x9e37'79b9'7f4a'7c15 + drivers::host_timer::now();
  word = state;
  word = (word ^ word >> 30) * 0xbf58'476d'1ce4'e5b9;
  word = (word ^ word >> 27) * 0x94d0'49bb'1331'11eb;
  return word ^ word >> 31;
}

}  // namespace ax::uni
