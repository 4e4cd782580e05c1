/* The C library of the unikernel in a program of its own: what enters a kernel in it becomes an instruction again, so that the
 * program is one as any other musl makes it. */
#include <stddef.h>

#define HIDDEN __attribute__((visibility("hidden")))

#if defined(__x86_64__)
enum { number_of_munmap = 11, number_of_exit = 60, number_of_arch_prctl = 158 };
#else
enum { number_of_munmap = 215, number_of_exit = 93 };
#endif

long ax_system_call(long a, long b, long c, long d, long e, long f, long n) {
#if defined(__x86_64__)
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e,
                   x5 __asm__("x5") = f, x8 __asm__("x8") = n;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
  return x0;
#else
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d, a4 __asm__("a4") = e,
                   a5 __asm__("a5") = f, a7 __asm__("a7") = n;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
  return a0;
#endif
}

/* The child finds its function and argument on its stack. */
#if defined(__x86_64__)
__asm__(
    ".global ax_clone\nax_clone:\n"
    "  andq $-16, %rsi\n  subq $16, %rsi\n  movq %rdi, (%rsi)\n  movq %rcx, 8(%rsi)\n"
    "  movl %edx, %edi\n  movq %r8, %rdx\n  movq %r9, %r8\n  movq 8(%rsp), %r10\n  movl $56, %eax\n  syscall\n"
    "  testl %eax, %eax\n  jnz 1f\n  xorl %ebp, %ebp\n  popq %rax\n  popq %rdi\n  call *%rax\n"
    "  movl %eax, %edi\n  movl $60, %eax\n  syscall\n1:\n  ret\n");
#elif defined(__aarch64__)
__asm__(
    ".global ax_clone\nax_clone:\n"
    "  and x1, x1, #-16\n  stp x0, x3, [x1, #-16]!\n  uxtw x0, w2\n  mov x2, x4\n  mov x3, x5\n  mov x4, x6\n  mov x8, #220\n  "
    "svc #0\n"
    "  cbnz x0, 1f\n  mov x29, xzr\n  ldp x1, x0, [sp], #16\n  blr x1\n  mov x8, #93\n  svc #0\n1:\n  ret\n");
#else
__asm__(
    ".global ax_clone\nax_clone:\n"
    "  andi a1, a1, -16\n  addi a1, a1, -16\n  sd a0, 0(a1)\n  sd a3, 8(a1)\n  mv a0, a2\n  mv a2, a4\n  mv a3, a5\n  mv a4, a6\n"
    "  li a7, 220\n  ecall\n  bnez a0, 1f\n  li s0, 0\n  ld a1, 0(sp)\n  ld a0, 8(sp)\n  jalr a1\n  li a7, 93\n  ecall\n1:\n  "
    "ret\n");
#endif

/* A thread that gives its own stack back cannot return to it. */
_Noreturn void ax_unmap_and_exit(void* base, size_t size) {
#if defined(__x86_64__)
  __asm__ volatile("syscall\n  xorl %%edi, %%edi\n  movl %2, %%eax\n  syscall"
                   :
                   : "D"(base), "S"(size), "i"(number_of_exit), "a"(number_of_munmap)
                   : "rcx", "r11");
#elif defined(__aarch64__)
  register void* x0 __asm__("x0") = base;
  register size_t x1 __asm__("x1") = size;
  register long x8 __asm__("x8") = number_of_munmap;
  __asm__ volatile("svc #0\n  mov x0, xzr\n  mov x8, %3\n  svc #0" : : "r"(x0), "r"(x1), "r"(x8), "i"(number_of_exit));
#else
  register void* a0 __asm__("a0") = base;
  register size_t a1 __asm__("a1") = size;
  register long a7 __asm__("a7") = number_of_munmap;
  __asm__ volatile("ecall\n  li a0, 0\n  li a7, %3\n  ecall" : : "r"(a0), "r"(a1), "r"(a7), "i"(number_of_exit));
#endif
  __builtin_unreachable();
}

/* In place of the members of the library of the same names. */
#if defined(__x86_64__)
HIDDEN int __set_thread_area(void* pointer) {
  const long set_fs = 0x1002;
  return (int)ax_system_call(set_fs, (long)pointer, 0, 0, 0, 0, number_of_arch_prctl);
}
__asm__(
    ".global __restore, __restore_rt\n.hidden __restore, __restore_rt\n__restore:\n__restore_rt:\n  movl $15, %eax\n  syscall\n");
#elif defined(__aarch64__)
__asm__(
    ".global __restore, __restore_rt\n.hidden __restore, __restore_rt\n__restore:\n__restore_rt:\n  mov x8, #139\n  svc #0\n");
#else
__asm__(".global __restore, __restore_rt\n.hidden __restore, __restore_rt\n__restore:\n__restore_rt:\n  li a7, 139\n  ecall\n");
#endif
