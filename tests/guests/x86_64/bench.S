// Interrupt handlers of the benchmark guests, of which every instruction counts.
    .text
// Notes when it began, and ends the interrupt.
    .global timer_handler
timer_handler:
    pushq   %rax
    pushq   %rdx
    rdtsc
    movl    %eax, woken_at
    movl    %edx, woken_at + 4
    movl    $0xfee000b0, %eax
    movl    $0, (%rax)
    popq    %rdx
    popq    %rax
    iretq

// Counts, and ends the interrupt: bench.cpp and bench_ipi.cpp know its length.
    .global ending_handler
ending_handler:
    pushq   %rax
    incq    interrupts_taken
    movl    $0xfee000b0, %eax
    movl    $0, (%rax)
    popq    %rax
    iretq

    .bss
    .balign 8
    .global woken_at
woken_at:
    .skip   8
    .global interrupts_taken
interrupts_taken:
    .skip   8
    .section .note.GNU-stack, "", @progbits
