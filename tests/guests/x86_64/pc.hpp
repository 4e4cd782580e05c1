// What the small guests for PCs have in common: instructions, ports, the serial console, the interrupt table.
#pragma once

#include <cstdint>

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u16 kSerial = 0x3f8;
inline constexpr u64 kLocalApic = 0xfee0'0000;

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline u32 read32(u64 address) { return *reinterpret_cast<volatile u32*>(address); }
inline void write32(u64 address, u32 value) { *reinterpret_cast<volatile u32*>(address) = value; }

struct Cpuid {
  u32 eax, ebx, ecx, edx;
};
inline Cpuid cpuid(u32 leaf) {
  Cpuid r;
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
  return r;
}
inline void write_msr(u32 index, u64 value) {
  asm volatile("wrmsr" : : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}
inline u64 time_stamp() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

// ---- console ---------------------------------------------------------------------------------------------------------

inline void put(char c) {
  while ((in8(kSerial + 5) & 0x20) == 0) {}
  out8(kSerial, static_cast<u8>(c));
}
inline void print(const char* text) {
  for (; *text != '\0'; ++text) {
    if (*text == '\n') put('\r');
    put(*text);
  }
}
inline void print_number(u64 n) {
  if (n >= 10) print_number(n / 10);
  put(static_cast<char>('0' + n % 10));
}

inline void power_off() {
  constexpr u16 kPowerManagementControl = 0x604;
  constexpr u16 kPowerOff = 0x3400;  // SLP_TYP 5, SLP_EN
  out16(kPowerManagementControl, kPowerOff);
}

// ---- interrupts ------------------------------------------------------------------------------------------------------

struct [[gnu::packed]] Gate {
  u16 offset_low;
  u16 selector;
  u16 flags;
  u16 offset_middle;
  u32 offset_high;
  u32 reserved;
};

/// Entries of start.S, 16 bytes apart; each calls guest_interrupt().
extern "C" u8 handlers[];

inline Gate gate_to(u64 address) {
  return {static_cast<u16>(address), 8, 0x8e00, static_cast<u16>(address >> 16), static_cast<u32>(address >> 32), 0};
}
/// This CPU uses `table` from now on.
inline void load(const Gate (&table)[256]) {
  struct [[gnu::packed]] {
    u16 limit;
    u64 base;
  } const pointer = {sizeof(table) - 1, reinterpret_cast<u64>(table)};
  asm volatile("lidt %0" : : "m"(pointer));
}
inline void install_handlers(Gate (&table)[256]) {
  for (u32 vector = 0; vector < 256; ++vector) table[vector] = gate_to(reinterpret_cast<u64>(handlers) + 16 * vector);
  load(table);
}
