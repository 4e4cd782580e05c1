// A guest without exception vectors that jumps to where nothing is.
    .section .text.start, "ax"
    .global _start
_start:
    msr     vbar_el1, xzr
    isb
    mov     x19, #0x5000
    lsl     x19, x19, #16
    br      x19
    .section .note.GNU-stack, "", %progbits
