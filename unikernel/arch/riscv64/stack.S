// void ax_run_on_stack(u64 top, void (*function)(void*), void* argument)
  .section .text, "ax"
  .global ax_run_on_stack
  .hidden ax_run_on_stack
ax_run_on_stack:
  mv sp, a0
  mv a0, a2
  li s0, 0
  li ra, 0
  jr a1
