// Device register access: one load or store of exactly the given width, never split, merged or left out. To and from
// AL, AX, EAX or RAX, the forms that every instruction decoder knows, should this run in a guest.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

inline u8 mmio_read8(u64 address) {
  u8 value;
  asm volatile("movb (%1), %0" : "=a"(value) : "r"(address) : "memory");
  return value;
}
inline u16 mmio_read16(u64 address) {
  u16 value;
  asm volatile("movw (%1), %0" : "=a"(value) : "r"(address) : "memory");
  return value;
}
inline u32 mmio_read32(u64 address) {
  u32 value;
  asm volatile("movl (%1), %0" : "=a"(value) : "r"(address) : "memory");
  return value;
}
inline u64 mmio_read64(u64 address) {
  u64 value;
  asm volatile("movq (%1), %0" : "=a"(value) : "r"(address) : "memory");
  return value;
}
inline void mmio_write8(u64 address, u8 value) {
  asm volatile("movb %0, (%1)" : : "a"(value), "r"(address) : "memory");
}
inline void mmio_write16(u64 address, u16 value) {
  asm volatile("movw %0, (%1)" : : "a"(value), "r"(address) : "memory");
}
inline void mmio_write32(u64 address, u32 value) {
  asm volatile("movl %0, (%1)" : : "a"(value), "r"(address) : "memory");
}
inline void mmio_write64(u64 address, u64 value) {
  asm volatile("movq %0, (%1)" : : "a"(value), "r"(address) : "memory");
}

}  // namespace ax::arch
