// The service `random`: random numbers of the CPU.
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/random_bytes.hpp"
#include "unikernel/core/service.hpp"

namespace ax::uni {
namespace {

constexpr unsigned kPatience = 1000;  // of a generator that has no entropy at the moment

i64 random(char* buffer, u64 size, u64) {
  for (u64 at = 0; at < size;) {
    u64 word = 0;
    unsigned tries = 0;
    while (!hardware_random(word)) {
      if (++tries == kPatience) return at != 0 ? static_cast<i64>(at) : i64{kAgain};
    }
    for (unsigned left = sizeof word; left > 0 && at < size; --left, word >>= 8) buffer[at++] = static_cast<char>(word);
  }
  return static_cast<i64>(size);
}

void start() {
  u64 word;
  for (unsigned i = 0; i < kPatience; ++i) {
    if (hardware_random(word)) return;
  }
  stop_program("the service random-hw needs random numbers of the CPU, and this one has none");
}

constexpr NumberedCall kCalls[] = {{AX_NR_getrandom, system_call<random>}};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_random{"random", ax::uni::kCalls, ax::uni::start};
