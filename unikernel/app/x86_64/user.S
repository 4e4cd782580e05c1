// Programs in ring 3: the gates that they leave it by, and SYSCALL. See unikernel/app/user.hpp. GS is the kernel's all the time.
#include "platforms/x86-qemu-q35/boot_layout.h"

#define USER_FRAME_WORDS 22
#define USER_DATA_SELECTOR 0x2b
#define USER_CODE_SELECTOR 0x33
#define PER_CPU_SCRATCH 56      // `vector`: free while interrupts are masked
#define PER_CPU_TASK_STATE 72   // `user_entry`
#define TASK_STATE_STACK 4      // its RSP0
#define CALL_VECTOR 256
#define USER_GATE_SIZE 32

  .section .text.ax_user, "ax"

// What comes out of the kernel goes to the platform's own gate.
  .balign USER_GATE_SIZE
  .global ax_user_gates
  .hidden ax_user_gates
ax_user_gates:
  .set vector, 0
  .rept VECTOR_COUNT
  .balign USER_GATE_SIZE
  .if vector < FIRST_INTERRUPT_VECTOR && (ERROR_CODE_VECTORS >> (vector & 31)) & 1
  testb $3, 16(%rsp)
  jz ax_vectors + vector * VECTOR_ENTRY_SIZE
  .else
  testb $3, 8(%rsp)
  jz ax_vectors + vector * VECTOR_ENTRY_SIZE
  pushq $0
  .endif
  pushq $vector
  jmp user_entry
  .set vector, vector + 1
  .endr

  .global ax_user_call
  .hidden ax_user_call
ax_user_call:
  movq %rsp, %gs:PER_CPU_SCRATCH
  movq %gs:PER_CPU_TASK_STATE, %rsp
  movq TASK_STATE_STACK(%rsp), %rsp
  pushq $USER_DATA_SELECTOR
  pushq %gs:PER_CPU_SCRATCH
  pushq %r11
  pushq $USER_CODE_SELECTOR
  pushq %rcx
  pushq $0
  pushq $CALL_VECTOR
user_entry:
  pushq %rax
  pushq %rcx
  pushq %rdx
  pushq %rbx
  pushq %rbp
  pushq %rsi
  pushq %rdi
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  cld
  // An exception has come on the emergency stack: the thread's own is used from here on.
  movq %gs:PER_CPU_TASK_STATE, %rdi
  movq TASK_STATE_STACK(%rdi), %rdi
  subq $(USER_FRAME_WORDS * 8), %rdi
  movq %rsp, %rsi
  movq %rdi, %rsp
  movl $USER_FRAME_WORDS, %ecx
  rep movsq
  xorl %ebp, %ebp
  movq %rsp, %rdi
  movq (15 * 8)(%rsp), %rsi
  call ax_user_trap

return_to_user:
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rdi
  popq %rsi
  popq %rbp
  popq %rbx
  popq %rdx
  popq %rcx
  popq %rax
  addq $16, %rsp           // vector, error code
  iretq

// void ax_enter_user(UserFrame* frame)
  .global ax_enter_user
  .hidden ax_enter_user
ax_enter_user:
  cli
  movq %rdi, %rsp
  xorl %ebp, %ebp
  call ax_leave_kernel
  jmp return_to_user

// As FXSAVE has them.
  .global ax_save_vectors
  .hidden ax_save_vectors
ax_save_vectors:
  fxsave64 (%rdi)
  ret

  .global ax_load_vectors
  .hidden ax_load_vectors
ax_load_vectors:
  fxrstor64 (%rdi)
  ret
