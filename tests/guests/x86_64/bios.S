// A 16-bit stub in front of a flat kernel: protected mode, then the kernel at 2 MiB with a magic number of its own in EAX.
    .section .text.start, "ax"
    .code16
    .global _start
_start:
    cli
    xorw    %ax, %ax
    movw    %ax, %ds
    lgdtl   gdt_pointer
    movl    %cr0, %eax
    orl     $1, %eax
    movl    %eax, %cr0
    ljmpl   $8, $protected

    .code32
protected:
    movw    $16, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    $0x62696f73, %eax       // "bios"
    xorl    %ebx, %ebx
    movl    $0x200000, %ecx
    jmp     *%ecx

    .balign 8
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff      // code, 32-bit, flat
    .quad   0x00cf93000000ffff      // data, flat
gdt_pointer:
    .word   gdt_pointer - gdt - 1
    .long   gdt
    .section .note.GNU-stack, "", @progbits
