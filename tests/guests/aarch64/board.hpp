// What small guests on QEMU virt's addresses have in common: console, calls, timer interrupt, and the entry that tiny.S calls.
#pragma once

#include <cstdint>

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u64 kUart = 0x0900'0000;
inline constexpr u64 kGicDistributor = 0x0800'0000;
inline constexpr u64 kGicRedistributor = 0x080a'0000;
inline constexpr u32 kVirtualTimerInterrupt = 27;
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

/// Calls firmware, or the hypervisor itself (SMCCC).
inline u64 call(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
  return x0;
}
inline void power_off() { call(kPsciSystemOff); }
inline void reset() { call(kPsciSystemReset); }

/// Lets an SGI or PPI interrupt the calling CPU, the `cpu`-th; GICv3.
inline void enable_private_interrupt(u32 interrupt, u64 cpu = 0) {
  constexpr u64 kStride = 0x2'0000;
  const u64 redistributor = kGicRedistributor + cpu * kStride;
  const u64 sgi_frame = redistributor + 0x1'0000;
  write32(redistributor + 0x14, 0);                              // GICR_WAKER: awake
  write32(sgi_frame + 0x80, 0xffff'ffff);                        // GICR_IGROUPR0: Group 1
  write32(sgi_frame + 0x100, 1u << interrupt);                   // GICR_ISENABLER0
  write32(kGicDistributor, 0x12);                                // GICD_CTLR: ARE, Group 1
  asm volatile("msr s3_0_c12_c12_5, %0\n isb" : : "r"(u64{1}));  // ICC_SRE_EL1
  asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(u64{0xf0}));       // ICC_PMR_EL1
  asm volatile("msr s3_0_c12_c12_7, %0\n isb" : : "r"(u64{1}));  // ICC_IGRPEN1_EL1
}
inline void enable_timer_interrupt() { enable_private_interrupt(kVirtualTimerInterrupt); }

// Called by tiny.S.
extern "C" void tiny_main(u64 device_tree);
extern "C" void tiny_unexpected();
extern "C" void tiny_synchronous(u64 syndrome, u64 address);  ///< on return the instruction at ELR_EL1 is skipped
extern "C" void tiny_interrupt();
