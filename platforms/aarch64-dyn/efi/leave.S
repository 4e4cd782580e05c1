// The image inside the EFI program, and the way out of the firmware.
        .section .rdata,"dr"
        .balign 16
        .globl  axvisor_image
axvisor_image:
        .incbin AXVISOR_IMAGE
        .globl  axvisor_image_end
axvisor_image_end:
        .byte   0

        .text
        .balign 64
// leave(x0 = fdt, x1 = entry, x2 = begin, x3 = end): Arm ARM B2.4 (cache maintenance), D19.2.120 (SCTLR_EL2).
        .globl  leave
leave:
        msr     daifset, #0xf
        mov     x9, x0
        mov     x10, x1
        mrs     x4, ctr_el0
        ubfx    x4, x4, #16, #4                 // DminLine: log2 of the words in the smallest data cache line
        mov     x5, #4
        lsl     x4, x5, x4
        sub     x5, x4, #1
        bic     x2, x2, x5
1:      dc      civac, x2
        add     x2, x2, x4
        cmp     x2, x3
        b.lo    1b
        // The device tree: totalsize is a big-endian word at offset 4.
        ldr     w3, [x9, #4]
        rev     w3, w3
        add     x3, x9, x3
        bic     x2, x9, x5
2:      dc      civac, x2
        add     x2, x2, x4
        cmp     x2, x3
        b.lo    2b
        // This code, which is fetched without caches from the moment the MMU is off.
        adr     x2, leave
        adr     x3, leave_end
        bic     x2, x2, x5
3:      dc      civac, x2
        add     x2, x2, x4
        cmp     x2, x3
        b.lo    3b
        dsb     sy
        ic      iallu
        dsb     sy
        isb
        mrs     x4, currentel
        cmp     x4, #8
        b.ne    4f
        mrs     x4, sctlr_el2
        bic     x4, x4, #0x1                    // M
        bic     x4, x4, #0x4                    // C
        bic     x4, x4, #0x1000                 // I
        msr     sctlr_el2, x4
        b       5f
4:      mrs     x4, sctlr_el1
        bic     x4, x4, #0x1
        bic     x4, x4, #0x4
        bic     x4, x4, #0x1000
        msr     sctlr_el1, x4
5:      isb
        mov     x0, x9
        mov     x1, xzr
        mov     x2, xzr
        mov     x3, xzr
        br      x10
leave_end:
