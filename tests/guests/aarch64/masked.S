// A guest that masks every exception and loops for ever.
    .section .text.start, "ax"
    .global _start
_start:
    msr     daifset, #15
    // With a GICv3's own interface it lets no priority through, either.
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #24, #4
    cbz     x0, 1f
    msr     s3_0_c4_c6_0, xzr       // ICC_PMR_EL1
    msr     s3_0_c12_c12_7, xzr     // ICC_IGRPEN1_EL1
    isb
1:  b       1b
    .section .note.GNU-stack, "", %progbits
