// Numbers that boot.S, vectors.S and the C++ code must agree on. Preprocessor only; the C++ code asserts them against
// its own definitions.
#pragma once

// ---- register values (Arm ARM D19.2) ----------------------------------------------------------------------------------

#ifndef AX_EXCEPTION_LEVEL
#define AX_EXCEPTION_LEVEL 2
#endif

// TCR_ELx: 48-bit addresses, 4 KiB granule, tables in write-back inner-shareable memory; the physical size is merged in.
#define TCR_T0SZ_48 16
#define TCR_TABLES_CACHED ((3 << 12) | (1 << 10) | (1 << 8))
#define TCR_PS_48_BITS 5

// SCTLR_ELx: MMU, data cache, stack alignment check, instruction cache, writable memory is not executable.
#define SCTLR_M (1 << 0)
#define SCTLR_C (1 << 2)
#define SCTLR_SA (1 << 3)
#define SCTLR_I (1 << 12)
#define SCTLR_WXN (1 << 19)

#if AX_EXCEPTION_LEVEL == 2
#define ELX(name) name##_el2
#define TLBI_ALL tlbi alle2
#define SCTLR_RES1 0x30c50830  // with HCR_EL2.E2H = 0
#define TCR_RES1 0x80800000
#define TCR_PS_SHIFT 16
#else
#define ELX(name) name##_el1
#define TLBI_ALL tlbi vmalle1
#define SCTLR_RES1 0x30d00800
#define TCR_RES1 0x00800000  // EPD1: no walks for the upper range
#define TCR_PS_SHIFT 32
#endif
#define CURRENT_EL_EXPECTED (AX_EXCEPTION_LEVEL << 2)
#define SCTLR_EARLY (SCTLR_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_I)
#define SCTLR_FINAL (SCTLR_EARLY | SCTLR_WXN)
#define TCR_BASE (TCR_RES1 | TCR_T0SZ_48 | TCR_TABLES_CACHED)

// HCR_EL2 while no guest runs: EL1 is AArch64; interrupts and SErrors come to EL2.
#define HCR_EL2_RW_BIT 31
#define HCR_EL2_AMO_IMO_FMO (0x7 << 3)

// CPACR_EL1: programs use floating point and vectors.
#define CPACR_EL1_FPEN (3 << 20)

// Attribute 0: normal memory, write-back. 1: device, nGnRE.
#define MAIR_VALUE 0x04ff

// ---- early translation tables (Arm ARM D8.3) --------------------------------------------------------------------------

#define TABLE_DESCRIPTOR 0x3
// Block, attribute 0, read-write, inner-shareable, accessed. AP[1] is RES1 at EL2 and access from EL0 at EL1, where code that
// EL0 may execute is another thing too.
#if AX_EXCEPTION_LEVEL == 2
#define EARLY_BLOCK_DESCRIPTOR ((1 << 10) | (3 << 8) | (1 << 6) | 0x1)
#else
#define EARLY_BLOCK_DESCRIPTOR 0x0040000000000701
#endif
#define TABLE_SIZE 4096
#define LEVEL0_SHIFT 39
#define LEVEL1_SHIFT 30
#define LEVEL2_SHIFT 21
// Level 0, level 1, and two level-2 tables side by side, so that an image may lie across a GiB boundary.
#define EARLY_IMAGE_TABLES 4
// Page frames for the device tree's and console's early mappings, and for the final tables.
#define TABLE_POOL_FRAMES 64

// ---- stacks -----------------------------------------------------------------------------------------------------------

#define GUARD_SIZE 4096
#define BOOT_STACK_SIZE 16384
#define EMERGENCY_STACK_SIZE 8192

// ---- per-CPU block ----------------------------------------------------------------------------------------------------

#define PER_CPU_EMERGENCY_STACK 8
#define PER_CPU_STACK_TOP 16

// ---- frames on the stack ----------------------------------------------------------------------------------------------

// CrashFrame: x0..x30, SP, ELR, SPSR, ESR, FAR.
#define CRASH_FRAME_ELR 256
#define CRASH_FRAME_ESR 272
#define CRASH_FRAME_SIZE 288

// Interrupt frame: x0..x18, x29, x30, ELR, SPSR.
#define INTERRUPT_FRAME_SIZE 192
