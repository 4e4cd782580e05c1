// void ax_run_on_stack(u64 top, void (*function)(void*), void* argument)
  .section .text, "ax"
  .global ax_run_on_stack
  .hidden ax_run_on_stack
ax_run_on_stack:
  movq %rdi, %rsp
  movq %rdx, %rdi
  xorl %ebp, %ebp
  pushq $0
  jmp *%rsi
