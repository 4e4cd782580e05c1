// What the fake architecture remembers: the instructions that the code under test would have executed, in order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.hpp"

namespace ax::arch::fake {

/// One recorded instruction or store, as text: "tlbi vae2is 0x40000000".
using Events = std::vector<std::string>;

/// Register state that maintenance code reads back.
inline u64 vttbr_el2 = 0;

namespace detail {
inline Events* sink = nullptr;

inline std::string hexadecimal(u64 value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[value % 16]);
    value /= 16;
  } while (value != 0);
  return "0x" + digits;
}
}  // namespace detail

/// The text of an event, for comparisons.
template <class... Operands>
std::string event(std::string_view instruction, Operands... operands) {
  std::string text(instruction);
  ((text += ' ', text += detail::hexadecimal(operands)), ...);
  return text;
}

template <class... Operands>
void record(std::string_view instruction, Operands... operands) {
  if (detail::sink != nullptr) detail::sink->push_back(event(instruction, operands...));
}

/// Records from its construction to its destruction; without one, events are dropped.
class Recording {
 public:
  Recording() { detail::sink = &events_; }
  ~Recording() { detail::sink = nullptr; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  const Events& events() const { return events_; }
  void clear() { events_.clear(); }

 private:
  Events events_;
};

}  // namespace ax::arch::fake
