// Numbers that boot.S, vectors.S and the C++ code must agree on. Preprocessor only; the C++ code asserts them against
// its own definitions.
#pragma once

// ---- boot protocols -------------------------------------------------------------------------------------------------

// Multiboot 1 (3.1.1): modules page-aligned, memory information wanted, addresses given in the header.
#define MULTIBOOT1_HEADER_MAGIC 0x1badb002
#define MULTIBOOT1_FLAGS 0x10003
#define MULTIBOOT1_MAGIC 0x2badb002
// Multiboot 2 (3.1.2): architecture i386.
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_ARCHITECTURE 0
#define MULTIBOOT2_MAGIC 0x36d76289
#define MULTIBOOT2_TAG_END 0
#define MULTIBOOT2_TAG_MODULE_ALIGN 6
// PVH: the note's type, and the first field of the start info. PVH leaves EAX undefined, so its entry sets this value.
#define PVH_NOTE_TYPE 18
#define PVH_MAGIC 0x336ec578

// ---- control registers (SDM vol. 3 2.5) -----------------------------------------------------------------------------

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_ET (1 << 4)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR0_VALUE (CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR4_PAE (1 << 5)
#define EFER_INDEX 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

#define CPUID_MAX_EXTENDED_LEAF 0x80000000
#define CPUID_EXTENDED_FEATURES 0x80000001
#define CPUID_NX_AND_LM ((1 << 20) | (1 << 29))

// ---- COM1 -----------------------------------------------------------------------------------------------------------

#define UART_PORT 0x3f8
#define UART_LINE_STATUS 5
#define UART_TRANSMITTER_EMPTY (1 << 5)
// Polls for the whole message: a device that never gets ready does not keep the CPU.
#define UART_PATIENCE 0x1000000

// ---- segments -------------------------------------------------------------------------------------------------------

#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10
#define TSS_SELECTOR 0x18
// Present, code, readable, accessed, 64-bit. Present, data, writable, accessed.
#define CODE_DESCRIPTOR 0x00209b0000000000
#define DATA_DESCRIPTOR 0x0000930000000000

// Interrupt stack table entries: fatal exceptions, NMI.
#define IST_EMERGENCY 1
#define IST_NMI 2

// ---- early page tables ----------------------------------------------------------------------------------------------

#define TABLE_SIZE 4096
// Present, writable; and 2 MiB leaf.
#define EARLY_TABLE_ENTRY 0x3
#define EARLY_LEAF_ENTRY 0x83
#define EARLY_LEAF_SIZE 0x200000
// The first 4 GiB, where firmware and boot loaders keep everything.
#define EARLY_DIRECTORIES 4
#define EARLY_TABLES (2 + EARLY_DIRECTORIES)
// Page frames for the final tables.
#define TABLE_POOL_FRAMES 64

// ---- stacks ---------------------------------------------------------------------------------------------------------

#define GUARD_SIZE 4096
#define BOOT_STACK_SIZE 16384
#define EMERGENCY_STACK_SIZE 8192
#define NMI_STACK_SIZE 4096

// ---- per-CPU block --------------------------------------------------------------------------------------------------

#define PER_CPU_STACK_TOP 16

// ---- vectors --------------------------------------------------------------------------------------------------------

#define NMI_VECTOR 2
#define FIRST_INTERRUPT_VECTOR 32
#define VECTOR_COUNT 256
// Bytes from one entry to the next in ax_vectors.
#define VECTOR_ENTRY_SIZE 8
// Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX.
#define ERROR_CODE_VECTORS 0x60227d00
