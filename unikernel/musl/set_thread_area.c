/* The thread pointer is a register that programs here may write. */
#include "pthread_impl.h"

hidden int __set_thread_area(void* p) {
#if defined(__aarch64__)
  __asm__ __volatile__("msr tpidr_el0, %0" : : "r"(p) : "memory");
#elif defined(__riscv)
  __asm__ __volatile__("mv tp, %0" : : "r"(p) : "memory");
#elif defined(__x86_64__)
  const unsigned fs_base = 0xc0000100;
  __asm__ __volatile__("wrmsr" : : "c"(fs_base), "a"((unsigned)(size_t)p), "d"((unsigned)((size_t)p >> 32)) : "memory");
#endif
  return 0;
}
