// Contexts: see unikernel/core/interrupts.hpp.
  .section .text, "ax"

// void ax_switch_context(void** save, void* load)
  .global ax_switch_context
  .hidden ax_switch_context
ax_switch_context:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret

// A new context returns to here: rbx = entry, r12 = argument.
  .global ax_context_entry
  .hidden ax_context_entry
ax_context_entry:
  movq %r12, %rdi
  xorl %ebp, %ebp
  pushq $0
  jmp *%rbx

// void ax_with_vectors_saved(void (*function)())
  .global ax_with_vectors_saved
  .hidden ax_with_vectors_saved
ax_with_vectors_saved:
  pushq %rbp
  movq %rsp, %rbp
  subq $512, %rsp
  andq $-16, %rsp
  fxsave64 (%rsp)
  call *%rdi
  fxrstor64 (%rsp)
  movq %rbp, %rsp
  popq %rbp
  ret
