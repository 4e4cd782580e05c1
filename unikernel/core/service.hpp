// A service: the system calls that it answers, and what it does at start.
#pragma once

#include <span>

#include "kernel/base/types.hpp"
#include "unikernel/core/system.h"

// What programs and their C library see; everything else is hidden from them, so that names never collide.
#define AX_EXPORT [[gnu::visibility("default"), gnu::used]]

namespace ax::uni {

/// A system call in Linux's terms: up to six arguments, a result or -errno. It runs on the caller's stack, in the caller's
/// thread, interrupts enabled, no lock held.
using SystemCall = i64 (*)(u64, u64, u64, u64, u64, u64);

struct NumberedCall {
  u16 number;
  SystemCall call;
};

/// Makes a SystemCall of a function with fewer arguments or other types of them.
template <auto Function>
struct CallAdapter;
template <class... Args, i64 (*Function)(Args...)>
struct CallAdapter<Function> {
  template <class T>
  static T convert(u64 value) {
    if constexpr (__is_pointer(T)) {
      return reinterpret_cast<T>(value);
    } else {
      return static_cast<T>(value);
    }
  }
  template <usize... I>
  static i64 spread(std::index_sequence<I...>, const u64 (&all)[6]) {
    return Function(convert<Args>(all[I])...);
  }
  static i64 call(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    const u64 all[6] = {a, b, c, d, e, f};
    return spread(std::index_sequence_for<Args...>{}, all);
  }
};

template <auto Function>
inline constexpr SystemCall system_call = &CallAdapter<Function>::call;

}  // namespace ax::uni

/// See ax_system in system.h.
struct ax_service {
  const char* name;
  std::span<const ax::uni::NumberedCall> calls;
  /// Boot CPU, before the program, in the order of ax_system.services; nullptr: nothing to do. A service that cannot work
  /// without what it does not find ends the program with a message (stop_program()).
  void (*start)();
};
