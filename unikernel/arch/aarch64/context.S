// Contexts: see unikernel/core/interrupts.hpp.
#include <arch/vector_registers.h>

#define CONTEXT_SIZE 176
#define VECTOR_STATE_SIZE 528

  .section .text, "ax"

// void ax_switch_context(void** save, void* load)
  .global ax_switch_context
  .hidden ax_switch_context
ax_switch_context:
  sub sp, sp, #CONTEXT_SIZE
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mrs x9, fpcr
  str x9, [sp, #160]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldr x9, [sp, #160]
  msr fpcr, x9
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #CONTEXT_SIZE
  ret

// A new context returns to here: x19 = entry, x20 = argument.
  .global ax_context_entry
  .hidden ax_context_entry
ax_context_entry:
  mov x0, x20
  mov x29, xzr
  mov x30, xzr
  br x19

// void ax_with_vectors_saved(void (*function)())
  .global ax_with_vectors_saved
  .hidden ax_with_vectors_saved
ax_with_vectors_saved:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  sub sp, sp, #VECTOR_STATE_SIZE
  for_vector_registers stp, sp
  mrs x9, fpsr
  str x9, [sp, #512]
  blr x0
  ldr x9, [sp, #512]
  msr fpsr, x9
  for_vector_registers ldp, sp
  mov sp, x29
  ldp x29, x30, [sp], #16
  ret
