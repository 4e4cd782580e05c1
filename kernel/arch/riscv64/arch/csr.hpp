// Control and status registers of this CPU. kernel/arch/riscv64/registers.hpp lists them.
#pragma once

#include "kernel/base/types.hpp"

/// Declares read() for the register of that name, or number, inside a struct.
#define AX_CSR_READ(name)                          \
  static inline u64 read() {                       \
    u64 value;                                     \
    asm volatile("csrr %0, " #name : "=r"(value)); \
    return value;                                  \
  }

/// Declares read(), write(), and set() and clear() of some bits.
#define AX_CSR(name)                                                                                     \
  AX_CSR_READ(name)                                                                                      \
  static inline void write(u64 value) { asm volatile("csrw " #name ", %0" : : "rK"(value) : "memory"); } \
  static inline void set(u64 bits) { asm volatile("csrs " #name ", %0" : : "rK"(bits) : "memory"); }     \
  static inline void clear(u64 bits) { asm volatile("csrc " #name ", %0" : : "rK"(bits) : "memory"); }

#include "kernel/arch/riscv64/registers.hpp"
