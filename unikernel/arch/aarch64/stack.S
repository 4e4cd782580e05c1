// void ax_run_on_stack(u64 top, void (*function)(void*), void* argument)
  .section .text, "ax"
  .global ax_run_on_stack
  .hidden ax_run_on_stack
ax_run_on_stack:
  mov sp, x0
  mov x0, x2
  mov x29, xzr
  mov x30, xzr
  br x1
