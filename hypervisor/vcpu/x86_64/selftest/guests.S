// Tiny guests, each at guest-physical 0x1000. What they do is told by the ports they write; the test knows what to expect.

    .section .rodata.guests, "a"

.macro GUEST name
    .balign 16
    .global guest_\name
guest_\name:
.endm
.macro END_GUEST name
    .global guest_\name\()_end
guest_\name\()_end:
.endm

// ---- real mode, CS = 0x100 --------------------------------------------------------------------------------------------

    .code16
GUEST real
    movl    $0x40000000, %eax
    xorl    %ecx, %ecx
    cpuid                       // the test answers
    movw    $0x3f8, %dx
    movb    $'R', %al
    outb    %al, %dx
    inw     %dx, %ax
    movw    %ax, %bx
    hlt
    movw    %cs, %ax
    outw    %ax, $0x80
    invd
    wbinvd
    xorw    %ax, %ax
    movw    %ax, %es
    movl    %es:0x500, %eax     // written by the test
    outl    %eax, $0x80
    hlt
END_GUEST real

// ---- protected mode ---------------------------------------------------------------------------------------------------

    .code32
GUEST protected
    vmmcall                     // the test puts a VMCALL here on Intel
    movl    $0x174, %ecx        // SYSENTER_CS: no exit
    movl    $0x1234, %eax
    xorl    %edx, %edx
    wrmsr
    xorl    %eax, %eax
    rdmsr
    outl    %eax, $0x80
    movl    $0x1b, %ecx         // IA32_APIC_BASE: exits
    rdmsr
    outl    %eax, $0x80
    movl    $0x55667788, %eax
    movl    $0x11223344, %edx
    wrmsr
    // Turn the caches on, one bit at a time with others: the real bits are the host's.
    movl    %cr0, %eax
    outl    %eax, $0x80
    andl    $0x9fffffff, %eax
    orl     $0x10000, %eax
    movl    %eax, %cr0
    movl    %cr0, %eax
    outl    %eax, $0x80
END_GUEST protected

// ---- long mode --------------------------------------------------------------------------------------------------------

    .code64
// Touches what is not there, reads and writes.
GUEST mmio
    movl    $0xfee00000, %ebx
    movl    0x20(%rbx), %eax
    movl    %eax, 0xb0(%rbx)
    movq    %cr8, %rdx
    movl    $3, %edx
    movq    %rdx, %cr8
    outl    %eax, $0x80
    xorl    %edx, %edx
    movq    %rdx, %cr8
    incl    %eax
    outl    %eax, $0x80
END_GUEST mmio

// Interrupts: the handler of vector 0x40 and of NMI and exceptions report by port; the main line counts.
GUEST interrupts
    movl    $1, %eax
    outl    %eax, $0x80         // interrupts are off here
    sti
    nop
    movl    $2, %eax
    outl    %eax, $0x80
1:  incq    %r15
    jmp     1b
END_GUEST interrupts

GUEST spin
    cli
1:  incq    %r15
    jmp     1b
END_GUEST spin

    .balign 16
    .global guest_handlers
    .global guest_handlers_end
// Vector n is at n * 16: reports n, and returns.
guest_handlers:
    .set    vector, 0
    .rept   256
    .balign 16
    pushq   %rax
    movb    $vector, %al
    outb    %al, $0x81
    popq    %rax
    iretq
    .set    vector, vector + 1
    .endr
guest_handlers_end:

// A triple fault.
GUEST triple
    lidt    (%rsp)
    ud2
END_GUEST triple

// Costs: one exit per turn, RCX is the test's.
GUEST cost_cpuid
1:  xorl    %eax, %eax
    cpuid
    jmp     1b
END_GUEST cost_cpuid
GUEST cost_hypercall
1:  vmmcall
    jmp     1b
END_GUEST cost_hypercall
GUEST cost_rdmsr
    movl    $0x1b, %ecx
1:  rdmsr
    jmp     1b
END_GUEST cost_rdmsr
GUEST cost_in
1:  inb     $0x21, %al
    jmp     1b
END_GUEST cost_in
GUEST cost_mmio
    movl    $0xfee00000, %ebx
1:  movl    0x20(%rbx), %eax
    jmp     1b
END_GUEST cost_mmio

    .section .note.GNU-stack, "", %progbits
