// What user.S stores of a program: see unikernel/app/user.hpp.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

struct UserFrame {
  u64 pc;
  u64 ra;
  u64 sp;
  u64 gp, tp, t0, t1, t2;
  u64 s0, s1;
  u64 a[8];
  u64 s2_to_s11[10];
  u64 t3_to_t6[4];
  u64 status;
  u64 padding;

  static constexpr u64 kCallSize = 4;  ///< of the instruction that makes a system call
  static constexpr u64 kRedZone = 0;
  static constexpr bool kLinkOnStack = false;
  u64 call_number() const { return a[7]; }
  u64 argument(unsigned i) const { return a[i]; }
  i64 result() const { return static_cast<i64>(a[0]); }
  void set_result(i64 value) { a[0] = static_cast<u64>(value); }
  /// Back to before the call, which is made again.
  void repeat_call(u64 number, u64 first_argument) {
    pc -= kCallSize;
    a[0] = first_argument;
    static_cast<void>(number);
  }
  void set_thread_pointer(u64 value) { tp = value; }
  u64 frame_pointer() const { return s0; }
  u64 return_address() const { return ra; }
};
static_assert(sizeof(UserFrame) == 272);

}  // namespace ax::uni
