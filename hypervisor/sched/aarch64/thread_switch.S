// Switching between host contexts: a CPU's main loop and the threads it runs. A context that does not run has its callee-saved
// registers in a frame on its own stack:
//
//      0  x29, x30      32  x21, x22      64  x25, x26
//     16  x19, x20      48  x23, x24      80  x27, x28

    .set FRAME_SIZE, 96

    .text
// void ax_switch_context(u64* save_sp, u64 load_sp): puts the running context away, and continues the other one.
    .global ax_switch_context
    .type ax_switch_context, %function
ax_switch_context:
    stp     x29, x30, [sp, #-FRAME_SIZE]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x2, sp
    str     x2, [x0]
    mov     sp, x1
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #FRAME_SIZE
    ret
    .size ax_switch_context, . - ax_switch_context

// u64 ax_prepare_context(u64 stack_top, void (*entry)(void*), void* argument): a context that has not run yet, for
// ax_switch_context() to continue. Returns its stack pointer.
    .global ax_prepare_context
    .type ax_prepare_context, %function
ax_prepare_context:
    sub     x0, x0, #FRAME_SIZE
    adrp    x3, begin_thread
    add     x3, x3, :lo12:begin_thread
    stp     xzr, x3, [x0]
    stp     x1, x2, [x0, #16]
    ret
    .size ax_prepare_context, . - ax_prepare_context

// First instructions of a new thread: x19 = entry function, x20 = its argument.
    .type begin_thread, %function
begin_thread:
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    msr     daifclr, #3
    blr     x19
    bl      ax_thread_exit
    .size begin_thread, . - begin_thread
    .section .note.GNU-stack, "", %progbits
