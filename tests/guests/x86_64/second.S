// The way of a second CPU from real mode at 0x8000 to guest_second(), by the tables of start.S.
    .set    CODE, 0x8000
    .text
    .global second_code
    .global second_code_end
    .code16
second_code:
    cli
    xorw    %ax, %ax
    movw    %ax, %ds
    lgdtl   CODE + (1f - second_code)
    movl    $0x20, %eax             // PAE
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
    ljmpl   $8, $second_long_mode
    .balign 4
1:  .word   23                      // the limit of start.S's three descriptors
    .long   gdt
second_code_end:

    .code64
second_long_mode:
    movw    $16, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movq    second_stack_top, %rsp
    call    guest_second
1:  hlt
    jmp     1b

    .bss
    .balign 8
    .global second_stack_top
second_stack_top:
    .skip   8
    .section .note.GNU-stack, "", @progbits
