// From the boot loader to C++: headers for three boot protocols, long mode, an early identity map, bss, stack.
//
// Every protocol enters in 32-bit protected mode with flat segments, paging off and EBX pointing at its information; EAX tells
// which one it is. QEMU's -kernel takes Multiboot 1 (a 64-bit file needs the address fields for that) or PVH, GRUB Multiboot 2.
//
// Secondary CPUs enter in real mode in a copy of ax_trampoline below 1 MiB.

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/common/guarded_stack.h"

// ---- headers ----------------------------------------------------------------------------------------------------------

  .section .head.text, "ax"
  .balign 8
multiboot1_header:
  .long ax_multiboot1_magic
  .long MULTIBOOT1_FLAGS
  .long -(MULTIBOOT1_HEADER_MAGIC + MULTIBOOT1_FLAGS)
  .long multiboot1_header
  .long __image_start
  .long __file_end
  .long __image_end
  .long _start

  .balign 8
multiboot2_header:
  .long MULTIBOOT2_HEADER_MAGIC
  .long MULTIBOOT2_ARCHITECTURE
  .long multiboot2_header_end - multiboot2_header
  .long -(MULTIBOOT2_HEADER_MAGIC + MULTIBOOT2_ARCHITECTURE + (multiboot2_header_end - multiboot2_header))
  .short MULTIBOOT2_TAG_MODULE_ALIGN, 0
  .long 8
  .short MULTIBOOT2_TAG_END, 0
  .long 8
multiboot2_header_end:

  .section .note.pvh, "a", @note
  .balign 4
  .long 4, 8, PVH_NOTE_TYPE
  .asciz "Xen"
  .quad start_pvh

// ---- boot CPU, 32 bits ------------------------------------------------------------------------------------------------

  .section .text.boot, "ax"
  .code32
start_pvh:
  movl $PVH_MAGIC, %eax

  .global _start
_start:
  cli
  cld
  movl %eax, %ebp
  movl %ebx, %esi

  movl $__bss_start, %edi
  movl $__bss_end, %ecx
  subl %edi, %ecx
  shrl $2, %ecx            // both are multiples of 64
  xorl %eax, %eax
  rep stosl

  movl $CPUID_MAX_EXTENDED_LEAF, %eax
  cpuid
  cmpl $CPUID_EXTENDED_FEATURES, %eax
  jb no_long_mode
  movl $CPUID_EXTENDED_FEATURES, %eax
  cpuid
  andl $CPUID_NX_AND_LM, %edx
  cmpl $CPUID_NX_AND_LM, %edx
  jne no_long_mode

  // The upper halves of the entries are zero, as all of the tables is before they are filled.
  movl $ax_early_tables, %edi
  movl $(EARLY_TABLES * TABLE_SIZE / 4), %ecx
  xorl %eax, %eax
  rep stosl
  movl $(ax_early_tables + TABLE_SIZE + EARLY_TABLE_ENTRY), ax_early_tables
  movl $(ax_early_tables + TABLE_SIZE), %edi
  movl $(ax_early_tables + 2 * TABLE_SIZE + EARLY_TABLE_ENTRY), %eax
  movl $EARLY_DIRECTORIES, %ecx
1:
  movl %eax, (%edi)
  addl $TABLE_SIZE, %eax
  addl $8, %edi
  loop 1b
  movl $(ax_early_tables + 2 * TABLE_SIZE), %edi
  movl $EARLY_LEAF_ENTRY, %eax
  movl $(EARLY_DIRECTORIES * TABLE_SIZE / 8), %ecx
2:
  movl %eax, (%edi)
  addl $EARLY_LEAF_SIZE, %eax
  addl $8, %edi
  loop 2b

  movl $CR4_PAE, %eax
  movl %eax, %cr4
  movl $ax_early_tables, %eax
  movl %eax, %cr3
  movl $EFER_INDEX, %ecx
  rdmsr
  orl $(EFER_LME | EFER_NXE), %eax
  wrmsr
  movl $CR0_VALUE, %eax
  movl %eax, %cr0
  lgdt early_gdt_register
  ljmp $CODE_SELECTOR, $start_boot_cpu

// The only message without the log: COM1 as the firmware has left it, or as the line's reset state and this divisor make it.
no_long_mode:
  movl $uart_setup, %esi
1:
  movw (%esi), %dx
  testw %dx, %dx
  jz 2f
  movb 2(%esi), %al
  outb %al, %dx
  addl $3, %esi
  jmp 1b
2:
  movl $no_long_mode_text, %esi
  movl $UART_PATIENCE, %ecx
3:
  movw $(UART_PORT + UART_LINE_STATUS), %dx
4:
  inb %dx, %al
  testb $UART_TRANSMITTER_EMPTY, %al
  loopz 4b                 // a port without a device reads as ones
  lodsb
  testb %al, %al
  jz halt_for_good
  movw $UART_PORT, %dx
  outb %al, %dx
  jmp 3b
halt_for_good:
  hlt
  jmp halt_for_good

// ---- boot CPU, 64 bits ------------------------------------------------------------------------------------------------

  .code64
start_boot_cpu:
  movq $ax_boot_stack_top, %rsp
  call load_data_segments
  movl %ebp, %edi
  movl %esi, %esi
  xorl %ebp, %ebp          // end of the frame-pointer chain
  pushq $0
  jmp ax_start_boot_cpu

load_data_segments:
  movl $DATA_SELECTOR, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  ret

// ---- secondary CPUs ---------------------------------------------------------------------------------------------------

// Copied to a page below 1 MiB, where a start-up IPI makes a CPU begin in real mode at offset 0 of it. Reaches long mode in one
// step, with the early tables, and leaves the page at once.
  .section .rodata.trampoline, "a"
  .global ax_trampoline
ax_trampoline:
  .code16
  cli
  cld
  movl $CR4_PAE, %eax
  movl %eax, %cr4
  movl $ax_early_tables, %eax
  movl %eax, %cr3
  movl $EFER_INDEX, %ecx
  rdmsr
  orl $(EFER_LME | EFER_NXE), %eax
  wrmsr
  movl $CR0_VALUE, %eax
  movl %eax, %cr0
  lgdtl %cs:(trampoline_gdt_register - ax_trampoline)
  ljmpl $CODE_SELECTOR, $start_secondary_cpu
trampoline_gdt_register:
  .short early_gdt_end - early_gdt - 1
  .long early_gdt
  .global ax_trampoline_end
ax_trampoline_end:

  .section .text.boot, "ax"
  .code64
// This code is at the same place in the early and in the final tables; stacks and everything else are in the final ones.
start_secondary_cpu:
  movq ax_root_table, %rax
  movq %rax, %cr3
  xorl %edi, %edi
  xchgq %rdi, ax_secondary_block
  testq %rdi, %rdi
  jz nothing_to_start
  movq PER_CPU_STACK_TOP(%rdi), %rsp
  call load_data_segments
  xorl %ebp, %ebp
  pushq $0
  jmp ax_start_secondary_cpu

nothing_to_start:
  hlt
  jmp nothing_to_start

// u64 ax_link_address()
  .global ax_link_address
ax_link_address:
  movl $__image_start, %eax
  ret

// void ax_load_segments(): CS and the data segments from this CPU's own descriptor table, which has the same selectors.
  .global ax_load_segments
ax_load_segments:
  popq %rdx
  pushq $CODE_SELECTOR
  pushq %rdx
  movl $DATA_SELECTOR, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  lretq

  .section .rodata, "a"
no_long_mode_text:
  .asciz "axvisor: PANIC: this CPU has no 64-bit mode with no-execute pages, which the hypervisor needs\r\n"
// 115200 baud, 8 bits, no parity, no interrupts: port, value.
uart_setup:
  .word UART_PORT + 1
  .byte 0
  .word UART_PORT + 3
  .byte 0x80
  .word UART_PORT
  .byte 1
  .word UART_PORT + 1
  .byte 0
  .word UART_PORT + 3
  .byte 3
  .word 0
  .balign 8
early_gdt:
  .quad 0, CODE_DESCRIPTOR, DATA_DESCRIPTOR
early_gdt_end:
early_gdt_register:
  .short early_gdt_end - early_gdt - 1
  .long early_gdt

// ---- memory that is not part of the file ------------------------------------------------------------------------------

  .section .boot_memory.tables, "aw", @nobits
  .balign TABLE_SIZE
  .global ax_early_tables
ax_early_tables:
  .space EARLY_TABLES * TABLE_SIZE
  .global ax_table_pool
ax_table_pool:
  .space TABLE_POOL_FRAMES * TABLE_SIZE

  .section .boot_memory.stacks, "aw", @nobits
  .balign GUARD_SIZE
  guarded_stack ax_boot_stack, BOOT_STACK_SIZE
  guarded_stack ax_boot_emergency_stack, EMERGENCY_STACK_SIZE
  guarded_stack ax_boot_nmi_stack, NMI_STACK_SIZE
