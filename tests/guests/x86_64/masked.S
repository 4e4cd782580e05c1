// A guest that masks every interrupt and loops for ever.
    .section .text.start, "ax"
    .code32
    .global _start
_start:
    jmp     1f
    .balign 4
    .long   0x1badb002, 0, -0x1badb002      // Multiboot 1
1:  cli
2:  jmp     2b
    .section .note.GNU-stack, "", @progbits
