// What user.S stores of a program: see unikernel/app/user.hpp.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

struct UserFrame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
  u64 vector, error;
  u64 pc, cs, flags, sp, ss;

  static constexpr u64 kCallSize = 2;  ///< of the instruction that makes a system call
  static constexpr u64 kRedZone = 128;
  static constexpr bool kLinkOnStack = true;
  u64 call_number() const { return rax; }
  u64 argument(unsigned i) const {
    const u64 all[] = {rdi, rsi, rdx, r10, r8, r9};
    return all[i];
  }
  i64 result() const { return static_cast<i64>(rax); }
  void set_result(i64 value) { rax = static_cast<u64>(value); }
  /// Back to before the call, which is made again.
  void repeat_call(u64 number, u64 first_argument) {
    pc -= kCallSize;
    rax = number;
    static_cast<void>(first_argument);
  }
  void set_thread_pointer(u64) {}  ///< it is no general register
  u64 frame_pointer() const { return rbp; }
  u64 return_address() const { return 0; }
};
static_assert(sizeof(UserFrame) == 176);

}  // namespace ax::uni
