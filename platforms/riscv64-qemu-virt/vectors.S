// The trap vectors (privileged specification 4.1.2), in vectored mode: exceptions go to the first, interrupts to that of their
// cause.
//
// Interrupts are handled and returned from. Exceptions continue on this CPU's emergency stack, because the stack in use may be
// what is broken; all are fatal but page faults that are due to an outdated TLB. sscratch holds the per-CPU block at all other times.

#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/riscv64-qemu-virt/registers.h"

  .section .text, "ax"
  .option push
  .option norvc
  .balign 256
  .global ax_vectors
ax_vectors:
  j exception
  .rept 15
  j host_interrupt
  .endr
  .option pop

exception:
  csrrw tp, sscratch, tp   // tp = block
  sd t0, PER_CPU_SCRATCH(tp)
  ld t0, PER_CPU_EMERGENCY_STACK(tp)
  addi t0, t0, -CRASH_FRAME_SIZE
  for_most sd
  csrr t1, sscratch
  sd t1, 32(t0)            // x4
  ld t1, PER_CPU_SCRATCH(tp)
  sd t1, 40(t0)            // x5
  csrw sscratch, tp
  csrr t1, sepc
  sd t1, 0(t0)
  csrr t1, sstatus
  sd t1, CRASH_FRAME_SSTATUS(t0)
  csrr t1, scause
  sd t1, CRASH_FRAME_SCAUSE(t0)
  csrr t1, stval
  sd t1, CRASH_FRAME_STVAL(t0)
  mv sp, t0
  mv a0, t0
  li s0, 0
  call ax_exception
  mv t0, sp
  ld t1, 0(t0)
  csrw sepc, t1
  ld t1, CRASH_FRAME_SSTATUS(t0)
  csrw sstatus, t1
  for_most ld
  ld x4, 32(t0)
  ld x5, 40(t0)
  sret

.macro for_caller_saved operation
  \operation ra, 0(sp)
  \operation t0, 8(sp)
  \operation t1, 16(sp)
  \operation t2, 24(sp)
  \operation a0, 32(sp)
  \operation a1, 40(sp)
  \operation a2, 48(sp)
  \operation a3, 56(sp)
  \operation a4, 64(sp)
  \operation a5, 72(sp)
  \operation a6, 80(sp)
  \operation a7, 88(sp)
  \operation t3, 96(sp)
  \operation t4, 104(sp)
  \operation t5, 112(sp)
  \operation t6, 120(sp)
.endm

// Caller-saved registers and the return state go to the interrupted stack, so that the handler may switch stacks.
host_interrupt:
  addi sp, sp, -INTERRUPT_FRAME_SIZE
  for_caller_saved sd
  csrr t0, sepc
  csrr t1, sstatus
  sd t1, INTERRUPT_FRAME_SSTATUS(sp)
  sd s0, INTERRUPT_FRAME_RECORD(sp)  // a frame record: a back-trace goes on into the interrupted code
  sd t0, (INTERRUPT_FRAME_RECORD + 8)(sp)
  addi s0, sp, INTERRUPT_FRAME_SIZE
  call ax_host_interrupt
  ld t0, (INTERRUPT_FRAME_RECORD + 8)(sp)
  ld t1, INTERRUPT_FRAME_SSTATUS(sp)
  ld s0, INTERRUPT_FRAME_RECORD(sp)
  csrw sepc, t0
  csrw sstatus, t1
  for_caller_saved ld
  addi sp, sp, INTERRUPT_FRAME_SIZE
  sret
