// The task switch of the small real-time system: an interrupt saves all of the running task on its stack, and goes on with the
// stack that rtos_tick() returns.
    .text
    .global rtos_interrupt
rtos_interrupt:
    .irp    register, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rdi
    pushq   %\register
    .endr
    movq    %rsp, %rdi
    call    rtos_tick
    movq    %rax, %rdi
    // A new task begins here, too: with a frame that guest_main() has made.
    .global rtos_resume
rtos_resume:
    movq    %rdi, %rsp
    .irp    register, rdi, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rsi, rdx, rcx, rbx, rax
    popq    %\register
    .endr
    iretq
    .section .note.GNU-stack, "", @progbits
