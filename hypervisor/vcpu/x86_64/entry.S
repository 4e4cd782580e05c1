// World switch between the hypervisor's CPU loop and a guest.
//
// GuestRegisters holds sixteen registers in encoding order, eight bytes each.

    .set RAX, 0
    .set RCX, 8
    .set RDX, 16
    .set RBX, 24
    .set RBP, 40
    .set RSI, 48
    .set RDI, 56
    .set R8, 64

.macro PUSH_CALLEE_SAVED
    pushq   %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
.endm

.macro POP_CALLEE_SAVED
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
.endm

// All but RAX, RSP and RDI.
.macro LOAD_GUEST
    movq    RCX(%rdi), %rcx
    movq    RDX(%rdi), %rdx
    movq    RBX(%rdi), %rbx
    movq    RBP(%rdi), %rbp
    movq    RSI(%rdi), %rsi
    movq    R8(%rdi), %r8
    movq    R8+8(%rdi), %r9
    movq    R8+16(%rdi), %r10
    movq    R8+24(%rdi), %r11
    movq    R8+32(%rdi), %r12
    movq    R8+40(%rdi), %r13
    movq    R8+48(%rdi), %r14
    movq    R8+56(%rdi), %r15
.endm

.macro STORE_GUEST
    movq    %rcx, RCX(%rdi)
    movq    %rdx, RDX(%rdi)
    movq    %rbx, RBX(%rdi)
    movq    %rbp, RBP(%rdi)
    movq    %rsi, RSI(%rdi)
    movq    %r8, R8(%rdi)
    movq    %r9, R8+8(%rdi)
    movq    %r10, R8+16(%rdi)
    movq    %r11, R8+24(%rdi)
    movq    %r12, R8+32(%rdi)
    movq    %r13, R8+40(%rdi)
    movq    %r14, R8+48(%rdi)
    movq    %r15, R8+56(%rdi)
.endm

    .text

// void ax_svm_enter(GuestRegisters* registers, u64 vmcb, u64 host_state)
//
// The global interrupt flag is off from here to the end, also for NMIs: the segment registers are the guest's. Interrupts are
// on for the time of VMRUN, because physical interrupts follow the host's flag then (APM vol. 2 15.21.1).
    .balign 64
    .global ax_svm_enter
    .type ax_svm_enter, @function
ax_svm_enter:
    PUSH_CALLEE_SAVED
    pushq   %rdi
    pushq   %rdx
    movq    %rsi, %rax
    clgi
    sti
    vmload  %rax
    LOAD_GUEST
    movq    RDI(%rdi), %rdi
    vmrun   %rax
    vmsave  %rax
    pushq   %rdi
    movq    16(%rsp), %rdi
    STORE_GUEST
    popq    RDI(%rdi)
    popq    %rax
    vmload  %rax
    cli
    stgi
    popq    %rdi
    POP_CALLEE_SAVED
    ret
    .size ax_svm_enter, . - ax_svm_enter

// bool ax_vmx_enter(GuestRegisters* registers, bool launched)
//
// Interrupts stay masked: with external-interrupt exiting the host's flag does not matter to a guest.
    .set    VMCS_HOST_RSP, 0x6c14

    .balign 64
    .global ax_vmx_enter
    .type ax_vmx_enter, @function
ax_vmx_enter:
    PUSH_CALLEE_SAVED
    pushq   %rdi
    movl    $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    testb   %sil, %sil
    LOAD_GUEST
    movq    RAX(%rdi), %rax
    movq    RDI(%rdi), %rdi
    jnz     1f
    vmlaunch
    jmp     2f
1:  vmresume
2:  popq    %rdi
    POP_CALLEE_SAVED
    xorl    %eax, %eax
    ret
    .size ax_vmx_enter, . - ax_vmx_enter

    .balign 64
    .global ax_vmx_exit
    .type ax_vmx_exit, @function
ax_vmx_exit:
    pushq   %rdi
    movq    8(%rsp), %rdi
    STORE_GUEST
    movq    %rax, RAX(%rdi)
    popq    RDI(%rdi)
    popq    %rdi
    POP_CALLEE_SAVED
    movl    $1, %eax
    ret
    .size ax_vmx_exit, . - ax_vmx_exit

    .section .note.GNU-stack, "", %progbits
