// Device register access: one load or store of exactly the given width, never split, merged or left out.
// The forms without write-back are used, so that a trapped access always carries a valid syndrome (Arm ARM D17.2.40, ISV).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

inline u8 mmio_read8(u64 address) {
  u32 value;
  asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return static_cast<u8>(value);
}
inline u16 mmio_read16(u64 address) {
  u32 value;
  asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return static_cast<u16>(value);
}
inline u32 mmio_read32(u64 address) {
  u32 value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline u64 mmio_read64(u64 address) {
  u64 value;
  asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void mmio_write8(u64 address, u8 value) {
  asm volatile("strb %w0, [%1]" : : "rZ"(static_cast<u32>(value)), "r"(address) : "memory");
}
inline void mmio_write16(u64 address, u16 value) {
  asm volatile("strh %w0, [%1]" : : "rZ"(static_cast<u32>(value)), "r"(address) : "memory");
}
inline void mmio_write32(u64 address, u32 value) { asm volatile("str %w0, [%1]" : : "rZ"(value), "r"(address) : "memory"); }
inline void mmio_write64(u64 address, u64 value) { asm volatile("str %x0, [%1]" : : "rZ"(value), "r"(address) : "memory"); }

}  // namespace ax::arch
