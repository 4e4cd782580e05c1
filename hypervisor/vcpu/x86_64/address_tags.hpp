// The numbers by which a CPU's TLB tells guests apart: ASIDs of SVM, VPIDs of VMX.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// A number that is good for as long as its generation is the CPU's.
struct AddressTag {
  u32 number = 0;
  u64 generation = 0;  ///< 0: none yet
};

/// One CPU's numbers, handed out in turn, each once in a generation; 0 is the host's. When they are used up a new
/// generation begins with an empty TLB, and every vCPU takes a new one.
class AddressTags {
 public:
  constexpr AddressTags() = default;
  /// `count` numbers exist, 0 included: at least two.
  explicit constexpr AddressTags(u32 count) : count_(count) {}

  constexpr bool is_current(const AddressTag& tag) const { return tag.generation == generation_; }

  /// Gives `tag` a number that the TLB knows nothing of. True: everything must be flushed first.
  [[nodiscard]] constexpr bool renew(AddressTag& tag) {
    const bool used_up = next_ >= count_;
    if (used_up) {
      ++generation_;
      next_ = 1;
    }
    tag = {next_++, generation_};
    return used_up;
  }

 private:
  u32 count_ = 0;
  u32 next_ = 1;
  u64 generation_ = 1;
};

}  // namespace hv
