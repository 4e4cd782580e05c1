// Entry of the small guests, in 32-bit protected mode without paging: long mode with the first 4 GiB mapped one to one, then
// guest_main(EAX, EBX). Its first byte is its entry, and a Multiboot 1 header follows.
    .section .text.start, "ax"
    .code32
    .global _start
_start:
    jmp     1f
    .balign 4
    .long   0x1badb002, 2, -(0x1badb002 + 2)  // Multiboot 1: memory information wanted
1:  cli
    movl    $stack_top, %esp
    movl    %eax, %edi
    movl    %ebx, %esi

    // Four page directories of 2 MiB pages; the third and fourth quarter of the addresses have devices, too.
    movl    $directories + 3, %eax
    movl    $pointers, %ebx
    movl    $4, %ecx
2:  movl    %eax, (%ebx)
    addl    $4096, %eax
    addl    $8, %ebx
    loop    2b
    movl    $0x83, %eax
    movl    $directories, %ebx
    movl    $2048, %ecx
3:  movl    %eax, (%ebx)
    addl    $0x200000, %eax
    addl    $8, %ebx
    loop    3b
    movl    $pointers + 3, top

    movl    %cr4, %eax
    orl     $0x20, %eax             // PAE
    movl    %eax, %cr4
    movl    $top, %eax
    movl    %eax, %cr3
    movl    $0xc0000080, %ecx
    rdmsr
    orl     $0x100, %eax            // EFER.LME
    wrmsr
    movl    %cr0, %eax
    orl     $0x80000001, %eax
    movl    %eax, %cr0
    lgdtl   gdt_pointer
    ljmpl   $8, $long_mode

    .code64
long_mode:
    movw    $16, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    %edi, %edi
    movl    %esi, %esi
    call    guest_main
4:  hlt
    jmp     4b

    // The address of every handler is handlers + 16 * vector.
    .balign 16
    .global handlers
handlers:
    .set    vector, 0
    .rept   256
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    nop
    nop
    .else
    pushq   $0
    .endif
    pushq   $vector
    jmp     common
    .set    vector, vector + 1
    .endr

common:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    movq    72(%rsp), %rdi          // vector
    leaq    88(%rsp), %rsi          // RIP, for a handler that skips the instruction
    call    guest_interrupt
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq

    // The same entry for a loader that knows PVH: XEN_ELFNOTE_PHYS32_ENTRY.
    .section .note.Xen, "a", @note
    .balign 4
    .long   4, 4, 18
    .asciz  "Xen"
    .long   _start

    .data
    .balign 8
    .global gdt
gdt:
    .quad   0
    .quad   0x00af9b000000ffff      // code, 64-bit
    .quad   0x00cf93000000ffff      // data
gdt_pointer:
    .word   gdt_pointer - gdt - 1
    .long   gdt

    .bss
    .balign 4096
    .global top
top:
    .skip   4096
pointers:
    .skip   4096
directories:
    .skip   4 * 4096
    .skip   8192
stack_top:
    .section .note.GNU-stack, "", @progbits
