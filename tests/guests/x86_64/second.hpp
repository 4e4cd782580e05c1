// Starts the second CPU of a guest: guest_second() on a stack of its own, with the page tables of the first, and no interrupt table yet.
#pragma once

#include "tests/guests/x86_64/pc.hpp"

extern "C" void guest_second();
extern "C" u8 second_code[], second_code_end[];  ///< runs at kSecondCode, from real mode on
extern "C" u64 second_stack_top;

inline constexpr u64 kSecondCode = 0x8000;

/// `stack_end`: the end of its stack. The local APIC is enabled, and may be left with another destination.
inline void start_second(u8* stack_end) {
  constexpr u32 kInit = 0x4500, kStartUp = 0x4600;
  for (u64 i = 0; second_code + i != second_code_end; ++i) *reinterpret_cast<volatile u8*>(kSecondCode + i) = second_code[i];
  second_stack_top = reinterpret_cast<u64>(stack_end);
  write32(kLocalApic + 0x310, 1 << 24);
  write32(kLocalApic + 0x300, kInit);
  write32(kLocalApic + 0x300, kStartUp | kSecondCode >> 12);
}
