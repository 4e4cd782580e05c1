// The interrupt descriptor table's entry points (SDM vol. 3 6.14).
//
// Exceptions of the host are fatal: they continue on this CPU's emergency stack (IST), because the stack in use may be what is
// broken. Interrupts and the NMI are handled and returned from.

#include "platforms/x86-qemu-q35/boot_layout.h"

  .section .text, "ax"
  .balign VECTOR_ENTRY_SIZE
  .global ax_vectors
ax_vectors:
  .set vector, 0
  .rept VECTOR_COUNT
  .balign VECTOR_ENTRY_SIZE
  .if vector == NMI_VECTOR
  jmp nmi
  .elseif vector >= FIRST_INTERRUPT_VECTOR
  .if vector < 128
  pushq $vector
  .else
  pushq $(vector - 256)    // two bytes; only the lowest counts
  .endif
  jmp host_interrupt
  .else
  pushq $vector
  .if (ERROR_CODE_VECTORS >> vector) & 1
  jmp fatal_exception
  .else
  jmp fatal_exception_without_code
  .endif
  .endif
  .set vector, vector + 1
  .endr

// The stack becomes a CrashFrame: r15..rax, vector, error code, RIP, CS, RFLAGS, RSP, SS.
fatal_exception_without_code:
  pushq (%rsp)
  movq $0, 8(%rsp)
fatal_exception:
  pushq %rax
  pushq %rcx
  pushq %rdx
  pushq %rbx
  pushq %rsp               // its place in the encoding's order; the interrupted one is above
  pushq %rbp
  pushq %rsi
  pushq %rdi
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  cld
  movq %rsp, %rdi
  subq $8, %rsp
  call ax_fatal_exception

// Saves what a C++ function may change. What is on the stack above is 48 bytes from a 16-byte boundary; \offset is that of RIP.
.macro save_caller_saved offset
  pushq \offset(%rsp)
  pushq %rbp
  movq %rsp, %rbp          // a frame record: a back-trace goes on into the interrupted code
  pushq %rax
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  cld
.endm

.macro restore_caller_saved
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rax
  popq %rbp
.endm

// On the interrupted stack, so that the handler may switch stacks.
host_interrupt:
  save_caller_saved 8
  movzbl 16(%rbp), %edi    // the vector, above the record
  subq $8, %rsp
  call ax_host_interrupt
  addq $8, %rsp
  restore_caller_saved
  addq $16, %rsp           // the record's RIP, the vector
  iretq

nmi:
  pushq $NMI_VECTOR
  save_caller_saved 8
  subq $8, %rsp
  call ax_host_nmi
  addq $8, %rsp
  restore_caller_saved
  addq $16, %rsp
  iretq
