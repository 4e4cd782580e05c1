// What the signal frames of all architectures have in common.
#pragma once

#include "unikernel/app/user.hpp"

namespace ax::uni {

/// struct siginfo.
struct SignalInformation {
  i32 signal, error, code, padding;
  u64 address;  ///< or who sent it
  u64 rest[13];
};
static_assert(sizeof(SignalInformation) == 128);

inline SignalInformation information_of(const SignalFrame& frame) {
  SignalInformation out{};
  out.signal = static_cast<i32>(frame.signal);
  out.code = frame.code;
  out.address = frame.address;
  return out;
}

/// The beginning of struct ucontext.
struct ContextHead {
  u64 flags = 0, link = 0;
  u64 stack_base = 0, stack_flags = 0, stack_size = 0;

  static ContextHead of(const SignalFrame& frame) {
    return {.stack_base = frame.stack_base, .stack_flags = frame.stack_flags, .stack_size = frame.stack_size};
  }
};

}  // namespace ax::uni
