// What small guests on QEMU virt's addresses have in common: console, PSCI, and the entry that tiny.S calls.
#pragma once

#include <cstdint>

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u64 kUart = 0x0900'0000;
inline constexpr u64 kPsciSystemOff = 0x8400'0008;
inline constexpr u64 kPsciSystemReset = 0x8400'0009;

inline void write32(u64 address, u32 value) { asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory"); }
inline u32 read32(u64 address) {
  u32 value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}

inline void put(char c) {
  while (read32(kUart + 0x18) & (1u << 5)) {
  }
  write32(kUart, static_cast<u8>(c));
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

inline u64 psci(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
  return x0;
}
inline void power_off() { psci(kPsciSystemOff); }
inline void reset() { psci(kPsciSystemReset); }

// Called by tiny.S.
extern "C" void tiny_main(u64 device_tree);
extern "C" void tiny_unexpected();
extern "C" void tiny_synchronous(u64 syndrome, u64 address);  ///< on return the instruction at ELR_EL1 is skipped
extern "C" void tiny_interrupt();
