// Switching between host contexts: a CPU's main loop and the threads it runs. A context that does not run has its callee-saved
// registers in a frame on its own stack:
//
//      0  r15     8  r14    16  r13    24  r12    32  rbx    40  rbp    48  return address

    .set FRAME_SIZE, 56

    .text
// void ax_switch_context(u64* save_sp, u64 load_sp): puts the running context away, and continues the other one.
    .global ax_switch_context
    .type ax_switch_context, @function
ax_switch_context:
    pushq   %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    ret
    .size ax_switch_context, . - ax_switch_context

// u64 ax_prepare_context(u64 stack_top, void (*entry)(void*), void* argument): a context that has not run yet, for
// ax_switch_context() to continue. Returns its stack pointer.
    .global ax_prepare_context
    .type ax_prepare_context, @function
ax_prepare_context:
    leaq    -FRAME_SIZE(%rdi), %rax
    movq    %rdx, 24(%rax)
    movq    %rsi, 32(%rax)
    movq    $0, 40(%rax)
    leaq    begin_thread(%rip), %rcx
    movq    %rcx, 48(%rax)
    ret
    .size ax_prepare_context, . - ax_prepare_context

// First instructions of a new thread: rbx = entry function, r12 = its argument. The stack pointer is its aligned top.
    .type begin_thread, @function
begin_thread:
    movq    %r12, %rdi
    sti
    callq   *%rbx
    callq   ax_thread_exit
    .size begin_thread, . - begin_thread
    .section .note.GNU-stack, "", @progbits
