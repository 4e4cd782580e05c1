// Contexts: see unikernel/core/interrupts.hpp.
#define CONTEXT_SIZE 176
#define VECTOR_STATE_SIZE 528

  .arch_extension fp
  .arch_extension simd

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
  stp q0, q1, [sp, #0]
  stp q2, q3, [sp, #32]
  stp q4, q5, [sp, #64]
  stp q6, q7, [sp, #96]
  stp q8, q9, [sp, #128]
  stp q10, q11, [sp, #160]
  stp q12, q13, [sp, #192]
  stp q14, q15, [sp, #224]
  stp q16, q17, [sp, #256]
  stp q18, q19, [sp, #288]
  stp q20, q21, [sp, #320]
  stp q22, q23, [sp, #352]
  stp q24, q25, [sp, #384]
  stp q26, q27, [sp, #416]
  stp q28, q29, [sp, #448]
  stp q30, q31, [sp, #480]
  mrs x9, fpsr
  str x9, [sp, #512]
  blr x0
  ldr x9, [sp, #512]
  msr fpsr, x9
  ldp q0, q1, [sp, #0]
  ldp q2, q3, [sp, #32]
  ldp q4, q5, [sp, #64]
  ldp q6, q7, [sp, #96]
  ldp q8, q9, [sp, #128]
  ldp q10, q11, [sp, #160]
  ldp q12, q13, [sp, #192]
  ldp q14, q15, [sp, #224]
  ldp q16, q17, [sp, #256]
  ldp q18, q19, [sp, #288]
  ldp q20, q21, [sp, #320]
  ldp q22, q23, [sp, #352]
  ldp q24, q25, [sp, #384]
  ldp q26, q27, [sp, #416]
  ldp q28, q29, [sp, #448]
  ldp q30, q31, [sp, #480]
  mov sp, x29
  ldp x29, x30, [sp], #16
  ret
