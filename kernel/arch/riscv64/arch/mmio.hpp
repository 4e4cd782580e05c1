// Device register access: one load or store of exactly the given width, never split, merged or left out. Memory that was written
// before a register is written is seen by the device, and what is read after a register is read is not older (as the I/O
// ordering of the privileged specification leaves it to fences).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

#define AX_MMIO(bits, type, load, store)                                                         \
  inline type mmio_read##bits(u64 address) {                                                     \
    type value;                                                                                  \
    asm volatile(load " %0, 0(%1)\n\tfence i, ir" : "=r"(value) : "r"(address) : "memory");      \
    return value;                                                                                \
  }                                                                                              \
  inline void mmio_write##bits(u64 address, type value) {                                        \
    asm volatile("fence w, o\n\t" store " %z0, 0(%1)" : : "rJ"(value), "r"(address) : "memory"); \
  }

AX_MMIO(8, u8, "lbu", "sb")
AX_MMIO(16, u16, "lhu", "sh")
AX_MMIO(32, u32, "lw", "sw")
AX_MMIO(64, u64, "ld", "sd")
#undef AX_MMIO

}  // namespace ax::arch
