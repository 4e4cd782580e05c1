// Contexts: see unikernel/core/interrupts.hpp.
#define CONTEXT_SIZE 208
#define VECTOR_STATE_SIZE 272

  .section .text, "ax"

// Every register that a function preserves, at its place in a context.
.macro for_preserved integer, floating
  \integer ra, 0(sp)
  \integer s0, 8(sp)
  \integer s1, 16(sp)
  \integer s2, 24(sp)
  \integer s3, 32(sp)
  \integer s4, 40(sp)
  \integer s5, 48(sp)
  \integer s6, 56(sp)
  \integer s7, 64(sp)
  \integer s8, 72(sp)
  \integer s9, 80(sp)
  \integer s10, 88(sp)
  \integer s11, 96(sp)
  \floating fs0, 104(sp)
  \floating fs1, 112(sp)
  \floating fs2, 120(sp)
  \floating fs3, 128(sp)
  \floating fs4, 136(sp)
  \floating fs5, 144(sp)
  \floating fs6, 152(sp)
  \floating fs7, 160(sp)
  \floating fs8, 168(sp)
  \floating fs9, 176(sp)
  \floating fs10, 184(sp)
  \floating fs11, 192(sp)
.endm

// void ax_switch_context(void** save, void* load)
  .global ax_switch_context
  .hidden ax_switch_context
ax_switch_context:
  addi sp, sp, -CONTEXT_SIZE
  for_preserved sd, fsd
  frcsr t0
  sd t0, 200(sp)
  sd sp, 0(a0)
  mv sp, a1
  ld t0, 200(sp)
  fscsr t0
  for_preserved ld, fld
  addi sp, sp, CONTEXT_SIZE
  ret

// A new context returns to here: s1 = entry, s2 = argument.
  .global ax_context_entry
  .hidden ax_context_entry
ax_context_entry:
  mv a0, s2
  li s0, 0
  li ra, 0
  jr s1

// void ax_with_vectors_saved(void (*function)())
  .global ax_with_vectors_saved
  .hidden ax_with_vectors_saved
ax_with_vectors_saved:
  addi sp, sp, -16
  sd s0, 0(sp)
  sd ra, 8(sp)
  addi s0, sp, 16
  addi sp, sp, -VECTOR_STATE_SIZE
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  fsd f\n, (8 * \n)(sp)
  .endr
  frcsr t0
  sd t0, 256(sp)
  jalr a0
  ld t0, 256(sp)
  fscsr t0
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  fld f\n, (8 * \n)(sp)
  .endr
  addi sp, s0, -16
  ld s0, 0(sp)
  ld ra, 8(sp)
  addi sp, sp, 16
  ret
