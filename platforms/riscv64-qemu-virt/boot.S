// From the firmware to C++: image header, state of supervisor mode, bss, stack.
//
// Entry, for the boot CPU (SBI's and Linux's protocol): supervisor mode, translation off, a0 = hart, a1 = device tree, image
// where it was linked to run. Memory is cached and coherent without translation too, so C++ makes the tables.

#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/common/guarded_stack.h"

// ---- image header (Linux Documentation/riscv/boot-image-header.rst) ---------------------------------------------------

  .section .head.text, "ax"
  .option push
  .option norvc
  .global _start
_start:
  j start_boot_cpu
  .long 0
  .quad IMAGE_TEXT_OFFSET
  .quad __image_size       // memory needed, bss and stacks included
  .quad 0                  // little-endian
  .long 2                  // version 0.2 of the header
  .long 0
  .quad 0
  .ascii "RISCV\0\0\0"
  .ascii "RSC\x05"
  .long 0
  .option pop

  .section .text, "ax"

// ---- boot CPU ---------------------------------------------------------------------------------------------------------

start_boot_cpu:
  lla t0, boot_has_begun
  li t1, 1
  amoswap.w.aqrl t1, t1, (t0)
  bnez t1, ax_start_secondary
  mv s1, a0
  mv s2, a1
  call reset_state
  lla t0, __image_start
  ld t1, link_address
  bne t0, t1, wrong_address

  lla t0, __bss_start
  lla t1, __bss_end
1:
  bgeu t0, t1, 2f
  sd zero, 0(t0)
  addi t0, t0, 8
  j 1b
2:
  lla sp, ax_boot_stack_top
  call ax_boot_cpu_block
  csrw sscratch, a0
  lla t0, ax_boot_stack_top
  sd t0, PER_CPU_STACK_TOP(a0)
  lla t0, ax_boot_emergency_stack_top
  sd t0, PER_CPU_EMERGENCY_STACK(a0)

  mv a0, s1
  mv a1, s2
  li ra, 0
  tail ax_start_boot_cpu

// ---- secondary CPUs ---------------------------------------------------------------------------------------------------

// Entry of SBI's hart_start: a0 = hart. Its per-CPU block is the first that names it, and no argument: OpenSBI may begin to
// start a hart before it has stored the address and the argument, and then starts it as it started the boot CPU
// (docs/machines.md).
  .global ax_start_secondary
ax_start_secondary:
  fence
  lla s1, ax_cpu_blocks
  lla t0, ax_cpu_block_count
  ld t0, 0(t0)
1:
  beqz t0, unknown_hart
  ld t1, PER_CPU_HARDWARE_ID(s1)
  beq t1, a0, 2f
  addi s1, s1, PER_CPU_SIZE
  addi t0, t0, -1
  j 1b
2:
  call reset_state
  ld t0, ax_translation
  csrw satp, t0
  sfence.vma
  csrw sscratch, s1
  ld sp, PER_CPU_STACK_TOP(s1)
  mv a0, s1
  li ra, 0
  tail ax_start_secondary_cpu

// Nobody has asked for it.
unknown_hart:
  wfi
  j unknown_hart

// ---- common steps -----------------------------------------------------------------------------------------------------

// Whatever firmware left: interrupts off, translation off, floating point as after reset, no frame, no thread. Uses t0.
reset_state:
  csrw sie, zero
  csrw satp, zero
  li t0, SSTATUS_CLEARED
  csrc sstatus, t0
  li t0, SSTATUS_SET
  csrs sstatus, t0
  csrw fcsr, zero
  lla t0, ax_vectors
  addi t0, t0, STVEC_VECTORED
  csrw stvec, t0
  li s0, 0
  li tp, 0
  li gp, 0
  ret

// Absolute addresses in the image would lead elsewhere. Calls of SBI's first days need no memory.
wrong_address:
  lla s0, wrong_address_text
1:
  lbu a0, 0(s0)
  beqz a0, 2f
  li a7, 1                 // put character
  ecall
  addi s0, s0, 1
  j 1b
2:
  li a7, 8                 // shut down
  ecall
3:
  wfi
  j 3b

// u64 ax_link_address()
  .global ax_link_address
ax_link_address:
  ld a0, link_address
  ret

  .data
  .balign 4
boot_has_begun:            // not in bss, which the boot CPU clears
  .word 0

  .section .rodata, "a"
  .balign 8
link_address:
  .quad __link_address
wrong_address_text:
  .asciz "The image was loaded to another address than it was linked for.\r\n"

// ---- memory that is not part of the file ------------------------------------------------------------------------------

  .section .boot_memory.tables, "aw", %nobits
  .balign TABLE_SIZE
  .global ax_table_pool
ax_table_pool:
  .space TABLE_POOL_FRAMES * TABLE_SIZE

  .section .boot_memory.stacks, "aw", %nobits
  .balign GUARD_SIZE
  guarded_stack ax_boot_stack, BOOT_STACK_SIZE
  guarded_stack ax_boot_emergency_stack, EMERGENCY_STACK_SIZE
