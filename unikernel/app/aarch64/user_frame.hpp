// What user.S stores of a program: see unikernel/app/user.hpp.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

struct UserFrame {
  u64 x[31];
  u64 sp;
  u64 pc;
  u64 pstate;

  static constexpr u64 kCallSize = 4;  ///< of the instruction that makes a system call
  static constexpr u64 kRedZone = 0;
  static constexpr bool kLinkOnStack = false;
  u64 call_number() const { return x[8]; }
  u64 argument(unsigned i) const { return x[i]; }
  i64 result() const { return static_cast<i64>(x[0]); }
  void set_result(i64 value) { x[0] = static_cast<u64>(value); }
  /// Back to before the call, which is made again.
  void repeat_call(u64 number, u64 first_argument) {
    pc -= kCallSize;
    x[0] = first_argument;
    static_cast<void>(number);
  }
  void set_thread_pointer(u64) {}  ///< it is no general register
  u64 frame_pointer() const { return x[29]; }
  u64 return_address() const { return x[30]; }
};
static_assert(sizeof(UserFrame) == 272);

}  // namespace ax::uni
