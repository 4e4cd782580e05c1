// Programs at EL0: the vectors that they leave it by. See unikernel/app/user.hpp.
#include <arch/vector_registers.h>

#define USER_FRAME_SIZE 272
#define USER_FRAME_SP 248
#define USER_FRAME_PSTATE 264

  .section .text.ax_user, "ax"

// The platform's own vector.
.macro platform_vector offset
  .balign 0x80
  b ax_vectors + \offset
.endm

.macro user_vector kind
  .balign 0x80
  sub sp, sp, #USER_FRAME_SIZE
  stp x0, x1, [sp]
  mov x1, #\kind
  b user_entry
.endm

  .balign 0x800
ax_user_vectors:
  .irp offset, 0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380
  platform_vector \offset
  .endr
  user_vector 0
  user_vector 1
  user_vector 1
  user_vector 2
  // AArch32: not started by anybody.
  .irp offset, 0x600, 0x680, 0x700, 0x780
  platform_vector \offset
  .endr
  .balign 0x80

// Every general register but x0 and x1.
.macro for_rest operation
  \operation x2, x3, [sp, #16]
  \operation x4, x5, [sp, #32]
  \operation x6, x7, [sp, #48]
  \operation x8, x9, [sp, #64]
  \operation x10, x11, [sp, #80]
  \operation x12, x13, [sp, #96]
  \operation x14, x15, [sp, #112]
  \operation x16, x17, [sp, #128]
  \operation x18, x19, [sp, #144]
  \operation x20, x21, [sp, #160]
  \operation x22, x23, [sp, #176]
  \operation x24, x25, [sp, #192]
  \operation x26, x27, [sp, #208]
  \operation x28, x29, [sp, #224]
.endm

user_entry:
  for_rest stp
  mrs x2, sp_el0
  stp x30, x2, [sp, #USER_FRAME_SP - 8]
  mrs x2, elr_el1
  mrs x3, spsr_el1
  stp x2, x3, [sp, #USER_FRAME_PSTATE - 8]
  mov x29, xzr
  mov x30, xzr
  mov x0, sp
  bl ax_user_trap

return_to_user:
  adrp x0, ax_user_vectors
  add x0, x0, :lo12:ax_user_vectors
  msr vbar_el1, x0
  ldp x2, x3, [sp, #USER_FRAME_PSTATE - 8]
  msr elr_el1, x2
  msr spsr_el1, x3
  ldp x30, x2, [sp, #USER_FRAME_SP - 8]
  msr sp_el0, x2
  for_rest ldp
  ldp x0, x1, [sp]
  add sp, sp, #USER_FRAME_SIZE
  eret

// void ax_enter_user(UserFrame* frame)
  .global ax_enter_user
  .hidden ax_enter_user
ax_enter_user:
  msr daifset, #3
  mov sp, x0
  mov x29, xzr
  bl ax_leave_kernel
  b return_to_user

// FPSR and FPCR, then the vectors.
  .global ax_save_vectors
  .hidden ax_save_vectors
ax_save_vectors:
  mrs x1, fpsr
  mrs x2, fpcr
  stp w1, w2, [x0], #8
  for_vector_registers stp, x0
  ret

  .global ax_load_vectors
  .hidden ax_load_vectors
ax_load_vectors:
  ldp w1, w2, [x0], #8
  msr fpsr, x1
  msr fpcr, x2
  for_vector_registers ldp, x0
  ret
