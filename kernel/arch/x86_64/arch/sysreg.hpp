// Control registers and model-specific registers of this CPU by name. kernel/arch/x86_64/registers.hpp lists them.
#pragma once

#include <arch/msr.hpp>

#include "kernel/base/types.hpp"

/// Declares read() and write() for a control register inside a struct.
#define AX_CONTROL_REGISTER(name)                       \
  static inline u64 read() {                            \
    u64 value;                                          \
    asm volatile("movq %%" #name ", %0" : "=r"(value)); \
    return value;                                       \
  }                                                     \
  static inline void write(u64 value) { asm volatile("movq %0, %%" #name : : "r"(value) : "memory"); }

/// Declares kIndex, read() and write() for a model-specific register.
#define AX_MODEL_SPECIFIC_REGISTER(index)        \
  static constexpr u32 kIndex = index;           \
  static u64 read() { return read_msr(kIndex); } \
  static void write(u64 value) { write_msr(kIndex, value); }

#include "kernel/arch/x86_64/registers.hpp"
