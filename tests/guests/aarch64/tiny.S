// Entry and vectors of the tiny guest. Loaded anywhere in its RAM, entered at EL1 with x0 = device tree, MMU off.
    .section .text.start, "ax"
    .global _start
_start:
    adrp    x1, stack_top   // behind data of any size
    add     x1, x1, :lo12:stack_top
    mov     sp, x1
    adr     x1, vectors
    msr     vbar_el1, x1
    isb
    bl      tiny_main
1:  wfi
    b       1b

.macro VECTOR handler
    .balign 128
    b       \handler
.endm

    .balign 2048
    .global vectors
    .hidden vectors
vectors:
    .rept 4                 // current EL with SP_EL0
    VECTOR unexpected
    .endr
    VECTOR synchronous      // current EL with SP_EL1
    VECTOR interrupt
    .rept 10                // FIQ, SError; lower ELs
    VECTOR unexpected
    .endr

.macro SAVE
    sub     sp, sp, #176
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    str     x30, [sp, #160]
.endm
.macro RESTORE
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x29, [sp, #144]
    ldr     x30, [sp, #160]
    add     sp, sp, #176
.endm

unexpected:
    bl      tiny_unexpected
synchronous:
    SAVE
    mrs     x0, esr_el1
    mrs     x1, far_el1
    bl      tiny_synchronous
    // The faulting instruction is skipped.
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
    RESTORE
    eret
interrupt:
    SAVE
    bl      tiny_interrupt
    RESTORE
    eret

    .bss
    .balign 16
    .skip   8192
stack_top:
    .section .note.GNU-stack, "", %progbits
