// Entry, vectors and the task switch of the small real-time system: an interrupt saves all of the running task on its
// stack, and goes on with the stack that rtos_tick() returns.
    .section .text.start, "ax"
    .global _start
_start:
    adr     x1, stack_top
    mov     sp, x1
    adr     x1, vectors
    msr     vbar_el1, x1
    isb
    bl      rtos_main
1:  wfi
    b       1b

.macro VECTOR handler
    .balign 128
    b       \handler
.endm

    .balign 2048
vectors:
    .rept 5
    VECTOR rtos_unexpected
    .endr
    VECTOR interrupt        // current EL with SP_EL1
    .rept 10
    VECTOR rtos_unexpected
    .endr

interrupt:
    sub     sp, sp, #272
    .irp    n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
    str     x\n, [sp, #8 * \n]
    .endr
    .irp    n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29
    str     x\n, [sp, #8 * \n]
    .endr
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    str     x30, [sp, #240]
    stp     x0, x1, [sp, #248]
    mov     x0, sp
    bl      rtos_tick
    // A new task begins here, too: with a frame that rtos_main() has made.
    .global rtos_resume
rtos_resume:
    mov     sp, x0
    ldp     x0, x1, [sp, #248]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldr     x30, [sp, #240]
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
    ldr     x\n, [sp, #8 * \n]
    .endr
    add     sp, sp, #272
    eret

    .bss
    .balign 16
    .skip   8192
stack_top:
    .section .note.GNU-stack, "", %progbits
