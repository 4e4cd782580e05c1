// Entry, vectors and loops of the benchmark guest. Loaded anywhere in its RAM, entered at EL1 with the MMU off.
    .section .text.start, "ax"
    .global _start
_start:
    adr     x1, stack_top
    mov     sp, x1
    adr     x1, vectors
    msr     vbar_el1, x1
    isb
    bl      guest_main
1:  wfi
    b       1b

// Where PSCI starts another vCPU: x0 = the end of its stack.
    .global second_start
second_start:
    mov     sp, x0
    adr     x1, vectors
    msr     vbar_el1, x1
    isb
    bl      guest_second
1:  wfi
    b       1b

// Only the guest with two vCPUs has one.
    .weak   guest_second
.macro VECTOR handler
    .balign 128
    b       \handler
.endm

    .balign 2048
vectors:
    .rept 4                 // current EL with SP_EL0
    VECTOR unexpected
    .endr
    VECTOR synchronous
    VECTOR interrupt
    .rept 10                // FIQ, SError; lower ELs
    VECTOR unexpected
    .endr

unexpected:
    bl      guest_unexpected

// Only the load of reads_of_nothing may fault; it is skipped.
synchronous:
    mrs     x9, elr_el1
    adr     x10, faulting_load
    cmp     x9, x10
    b.ne    unexpected
    add     x9, x9, #4
    msr     elr_el1, x9
    eret

// Every 20 us, counted in `ticks`; kHandlerInstructions is its length. x27: timer interrupts left; x28: the timer's compare value;
// x26: the period in counter ticks.
interrupt:
    mrs     x25, s3_0_c12_c12_0     // ICC_IAR1_EL1
    add     x28, x28, x26
    msr     cntv_cval_el0, x28
    sub     x27, x27, #1
    msr     s3_0_c12_c12_1, x25     // ICC_EOIR1_EL1
    eret

    .text
// void reads_of_nothing(u64 n, u64 address): n loads that fault; ten instructions each, with the handler's.
    .global reads_of_nothing
    .type reads_of_nothing, %function
reads_of_nothing:
faulting_load:
    ldr     w2, [x1]
    subs    x0, x0, #1
    b.ne    faulting_load
    ret
    .size reads_of_nothing, . - reads_of_nothing

// u64 work(u64 rounds): rounds of two instructions. Returns the counter ticks that it took.
    .global work
    .type work, %function
work:
    isb
    mrs     x1, cntvct_el0
1:  subs    x0, x0, #1
    b.ne    1b
    isb
    mrs     x2, cntvct_el0
    sub     x0, x2, x1
    ret
    .size work, . - work

// u64 interrupted_work(u64 rounds, u64 interrupts, u64 period): the same with a timer interrupt every `period` ticks, which must
// not last longer than the work. Returns the ticks that it took.
    .global interrupted_work
    .type interrupted_work, %function
interrupted_work:
    stp     x29, x30, [sp, #-64]!
    stp     x25, x26, [sp, #16]
    stp     x27, x28, [sp, #32]
    mov     x27, x1
    mov     x26, x2
    isb
    mrs     x28, cntvct_el0
    add     x28, x28, x26
    msr     cntv_cval_el0, x28
    mov     x3, #1
    msr     cntv_ctl_el0, x3
    isb
    mrs     x1, cntvct_el0
    msr     daifclr, #2
1:  subs    x0, x0, #1
    b.ne    1b
    msr     daifset, #2
    isb
    mrs     x2, cntvct_el0
    msr     cntv_ctl_el0, xzr
    sub     x0, x2, x1
    mov     x1, x27
    ldp     x27, x28, [sp, #32]
    ldp     x25, x26, [sp, #16]
    ldp     x29, x30, [sp], #64
    ret
    .size interrupted_work, . - interrupted_work

    .bss
    .balign 16
    .skip   8192
stack_top:
    .section .note.GNU-stack, "", @progbits
