// A guest without an interrupt table that executes an undefined instruction: a triple fault.
    .section .text.start, "ax"
    .code32
    .global _start
_start:
    jmp     1f
    .balign 4
    .long   0x1badb002, 0, -0x1badb002      // Multiboot 1
1:  lidtl   no_table
    ud2
no_table:
    .word   0
    .long   0
    .section .note.GNU-stack, "", @progbits
