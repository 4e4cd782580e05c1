// System registers of this CPU. kernel/arch/aarch64/registers.hpp lists them.
#pragma once

#include "kernel/base/types.hpp"

/// Declares read() for the register of that name inside a struct.
#define AX_REGISTER_READ(name)                              \
  static inline u64 read() {                                \
    u64 value;                                              \
    asm volatile("mrs %0, " #name : "=r"(value));           \
    return value;                                           \
  }

/// Declares read() and write(). Both are ordered among themselves; a write takes effect for the instructions that follow only
/// after isb().
#define AX_REGISTER_ACCESS(name) \
  AX_REGISTER_READ(name)         \
  static inline void write(u64 value) { asm volatile("msr " #name ", %x0" : : "rZ"(value)); }

#include "kernel/arch/aarch64/registers.hpp"
