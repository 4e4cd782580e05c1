// Programs in user mode: the trap vector that is in force while one runs. See unikernel/app/user.hpp.
#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/riscv64-qemu-virt/registers.h"

#define PER_CPU_USER_STACK 72   // `user_entry`
#define USER_FRAME_SIZE 272
#define USER_FRAME_STATUS 256

  .section .text.ax_user, "ax"

  .balign 4
user_entry:
  csrrw tp, sscratch, tp   // tp = block
  sd t0, PER_CPU_SCRATCH(tp)
  ld t0, PER_CPU_USER_STACK(tp)
  addi t0, t0, -USER_FRAME_SIZE
  for_most sd
  csrr t1, sscratch
  sd t1, 32(t0)            // tp
  ld t1, PER_CPU_SCRATCH(tp)
  sd t1, 40(t0)            // t0
  csrrw tp, sscratch, tp   // a thread's again, as everywhere in the kernel
  csrr t1, sepc
  sd t1, 0(t0)
  csrr t1, sstatus
  sd t1, USER_FRAME_STATUS(t0)
  mv sp, t0
  lla t1, ax_vectors
  addi t1, t1, STVEC_VECTORED
  csrw stvec, t1
  mv a0, sp
  csrr a1, scause
  li s0, 0
  call ax_user_trap

return_to_user:
  mv t0, sp
  lla t1, user_entry
  csrw stvec, t1
  ld t1, 0(t0)
  csrw sepc, t1
  ld t1, USER_FRAME_STATUS(t0)
  csrw sstatus, t1
  for_most ld
  ld tp, 32(t0)
  ld t0, 40(t0)
  sret

// void ax_enter_user(UserFrame* frame)
  .global ax_enter_user
  .hidden ax_enter_user
ax_enter_user:
  csrci sstatus, 2
  mv sp, a0
  li s0, 0
  call ax_leave_kernel
  j return_to_user

// f0 to f31, then FCSR.
  .global ax_save_vectors
  .hidden ax_save_vectors
ax_save_vectors:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  fsd f\n, (8 * \n)(a0)
  .endr
  frcsr t0
  sw t0, 256(a0)
  ret

  .global ax_load_vectors
  .hidden ax_load_vectors
ax_load_vectors:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  fld f\n, (8 * \n)(a0)
  .endr
  lw t0, 256(a0)
  fscsr t0
  ret
