/* Marks: instructions without effect that counter.c knows. Odd numbers below 32 begin what is measured, the next
 * even one ends it. */
#pragma once

enum {
  /* movz xzr, #0x4b00 + number */
  kMarkArm = 0xd2800000 | 0x4b00 << 5 | 31,
  kMarkNumberArm = 0x1f << 5,
  /* lui zero, 0x4b520 + number */
  kMarkRiscv = 0x4b520 << 12 | 0x37,
  kMarkNumberRiscv = 0x1f << 12,
  /* nopl 0x4b524100 + number(%rax) */
  kMarkX86 = 0x4b5241,
};

#if defined(__aarch64__)
#define MARK(number) __asm__ volatile("movz xzr, #(0x4b00 + %c0)" : : "i"(number) : "memory")
#elif defined(__riscv)
#define MARK(number) __asm__ volatile("lui zero, (0x4b520 + %c0)" : : "i"(number) : "memory")
#elif defined(__x86_64__)
#define MARK(number) __asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long (0x4b524100 + %c0)" : : "i"(number) : "memory")
#endif
