// The exception vectors of the level that the image runs at (Arm ARM D1.3.1.4).
//
// From the host itself (SP_ELx): IRQ and FIQ are handled and returned from; everything else is fatal and continues on this
// CPU's emergency stack, because the stack in use may be what is broken. SP_EL0 holds x0 meanwhile: it is a guest's
// register, and no guest runs again after a fatal exception.
//
// From a lower level: the program's code, with every guest register still live.

#include "platforms/aarch64-dyn/boot_layout.h"

// A vector that reports and stops. \kind is an ExceptionKind.
.macro fatal_vector kind
  .balign 0x80
  msr sp_el0, x0
  mrs x0, ELX(tpidr)
  ldr x0, [x0, #PER_CPU_EMERGENCY_STACK]
  sub x0, x0, #CRASH_FRAME_SIZE
  stp x2, x3, [x0, #16]
  mov x2, #\kind
  b fatal_exception
.endm

.macro program_vector symbol
  .balign 0x80
  b \symbol
.endm

.macro interrupt_vector
  .balign 0x80
  sub sp, sp, #INTERRUPT_FRAME_SIZE
  stp x0, x1, [sp, #0]
  stp x2, x3, [sp, #16]
  b host_interrupt
.endm

  .section .text, "ax"
  .balign 0x800
  .global ax_vectors
ax_vectors:
  // Current level, SP_EL0: never selected.
  fatal_vector 0
  fatal_vector 1
  fatal_vector 2
  fatal_vector 3
  // Current level, SP_EL2.
  fatal_vector 0
  interrupt_vector
  interrupt_vector
  fatal_vector 3
  // Lower level, AArch64; then AArch32: HCR_EL2.RW keeps EL1 in AArch64, and an EL0 in AArch32 still comes here.
  .rept 2
#if AX_EXCEPTION_LEVEL == 2
  program_vector ax_lower_el_sync
  program_vector ax_lower_el_irq
  program_vector ax_lower_el_fiq
  program_vector ax_lower_el_serror
#else
  // Nothing runs there.
  fatal_vector 0
  fatal_vector 1
  fatal_vector 2
  fatal_vector 3
#endif
  .endr
  .balign 0x80

// x0 = CrashFrame with x2, x3 stored, x2 = kind, SP_EL0 = x0 of the exception.
fatal_exception:
  stp x4, x5, [x0, #32]
  stp x6, x7, [x0, #48]
  stp x8, x9, [x0, #64]
  stp x10, x11, [x0, #80]
  stp x12, x13, [x0, #96]
  stp x14, x15, [x0, #112]
  stp x16, x17, [x0, #128]
  stp x18, x19, [x0, #144]
  stp x20, x21, [x0, #160]
  stp x22, x23, [x0, #176]
  stp x24, x25, [x0, #192]
  stp x26, x27, [x0, #208]
  stp x28, x29, [x0, #224]
  mrs x3, sp_el0
  stp x3, x1, [x0, #0]
  mov x3, sp
  stp x30, x3, [x0, #240]
  mrs x3, ELX(elr)
  mrs x4, ELX(spsr)
  stp x3, x4, [x0, #CRASH_FRAME_ELR]
  mrs x3, ELX(esr)
  mrs x4, ELX(far)
  stp x3, x4, [x0, #CRASH_FRAME_ESR]
  mov sp, x0
  mov x1, x2
  bl ax_fatal_exception

// Caller-saved registers and the return state go to the interrupted stack, so that the handler may switch stacks.
host_interrupt:
  stp x4, x5, [sp, #32]
  stp x6, x7, [sp, #48]
  stp x8, x9, [sp, #64]
  stp x10, x11, [sp, #80]
  stp x12, x13, [sp, #96]
  stp x14, x15, [sp, #112]
  stp x16, x17, [sp, #128]
  mrs x0, ELX(elr)
  mrs x1, ELX(spsr)
  stp x18, x30, [sp, #144]
  str x1, [sp, #160]
  stp x29, x0, [sp, #176]
  add x29, sp, #176        // a frame record: a back-trace goes on into the interrupted code
  bl ax_host_interrupt
  ldp x29, x0, [sp, #176]
  ldr x1, [sp, #160]
  ldp x18, x30, [sp, #144]
  msr ELX(elr), x0
  msr ELX(spsr), x1
  ldp x16, x17, [sp, #128]
  ldp x14, x15, [sp, #112]
  ldp x12, x13, [sp, #96]
  ldp x10, x11, [sp, #80]
  ldp x8, x9, [sp, #64]
  ldp x6, x7, [sp, #48]
  ldp x4, x5, [sp, #32]
  ldp x2, x3, [sp, #16]
  ldp x0, x1, [sp, #0]
  add sp, sp, #INTERRUPT_FRAME_SIZE
  eret
