// World switch between the hypervisor's CPU loop and a guest.
//
// While a guest runs, the top of the CPU's EL2 stack holds the addresses of its GuestRegisters and its Vcpu and, below that, what
// the C++ caller must get back. Nothing else is ever on the stack: exits run to completion on it.
//
// Most exits are answered by C++ that is called while x19 to x29 are still the guest's: it preserves them, so that they need
// neither be saved nor restored.

#include <arch/vector_registers.h>

    .set OFFSET_PC, 248
    .set RESUME, 5
    .set OFFSET_FPCR, 512

    .text
    .balign 64
    .global ax_enter_guest
    .type ax_enter_guest, %function
ax_enter_guest:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     x0, x1, [sp, #96]

    ldp     x1, x2, [x0, #OFFSET_PC]
    msr     elr_el2, x1
    msr     spsr_el2, x2
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x19, [x0, #152]

    // x0 = registers.
resume_guest:
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldr     x18, [x0, #144]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret
    // Straight-line speculation past an exception return.
    dsb     nsh
    isb
    .size ax_enter_guest, . - ax_enter_guest

.macro EXIT name, answer
    .global \name
    .type \name, %function
\name:
    stp     x0, x1, [sp, #-16]!
    adr     x1, \answer
    b       exit_common
    .size \name, . - \name
.endm

    EXIT    ax_lower_el_sync, ax_answer_synchronous
    EXIT    ax_lower_el_irq, ax_answer_interrupt
    EXIT    ax_lower_el_fiq, ax_answer_interrupt
    EXIT    ax_lower_el_serror, ax_answer_system_error

    // On the stack: guest x0, x1; then ax_enter_guest's frame. x1 = who answers.
exit_common:
    ldr     x0, [sp, #16 + 96]
    stp     x2, x3, [x0, #16]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    str     x18, [x0, #144]
    str     x30, [x0, #240]
    ldr     x0, [sp, #104]
    blr     x1
    mov     x1, x0
    ldr     x0, [sp, #96]
    cmp     x1, #RESUME
    b.eq    resume_guest

    str     x19, [x0, #152]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [x0, #OFFSET_PC]
    mov     x0, x1

    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret

    .global ax_save_fp
    .type ax_save_fp, %function
ax_save_fp:
    for_vector_registers stp, x0
    mrs     x1, fpcr
    mrs     x2, fpsr
    add     x3, x0, #OFFSET_FPCR
    stp     x1, x2, [x3]
    ret
    .size ax_save_fp, . - ax_save_fp

    .global ax_restore_fp
    .type ax_restore_fp, %function
ax_restore_fp:
    for_vector_registers ldp, x0
    add     x3, x0, #OFFSET_FPCR
    ldp     x1, x2, [x3]
    msr     fpcr, x1
    msr     fpsr, x2
    ret
    .size ax_restore_fp, . - ax_restore_fp

    .section .note.GNU-stack, "", %progbits
