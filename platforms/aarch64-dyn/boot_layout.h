// Numbers that boot.S, vectors.S and the C++ code must agree on. Preprocessor only; the C++ code asserts them against
// its own definitions.
#pragma once

// ---- register values (Arm ARM D19.2) ----------------------------------------------------------------------------------

#define CURRENT_EL_EL2 (2 << 2)

// SCTLR_EL2 with HCR_EL2.E2H = 0: the bits that read as one, then MMU, data cache, stack alignment check, instruction cache.
#define SCTLR_EL2_RES1 0x30c50830
#define SCTLR_EL2_M (1 << 0)
#define SCTLR_EL2_C (1 << 2)
#define SCTLR_EL2_SA (1 << 3)
#define SCTLR_EL2_I (1 << 12)
#define SCTLR_EL2_WXN (1 << 19)
#define SCTLR_EL2_EARLY (SCTLR_EL2_RES1 | SCTLR_EL2_M | SCTLR_EL2_C | SCTLR_EL2_SA | SCTLR_EL2_I)
#define SCTLR_EL2_FINAL (SCTLR_EL2_EARLY | SCTLR_EL2_WXN)

// HCR_EL2 while no guest runs: EL1 is AArch64; interrupts and SErrors come to EL2.
#define HCR_EL2_RW_BIT 31
#define HCR_EL2_AMO_IMO_FMO (0x7 << 3)

// TCR_EL2: 48-bit addresses, 4 KiB granule, tables in write-back inner-shareable memory; the physical size is merged in.
#define TCR_EL2_RES1 0x80800000
#define TCR_EL2_T0SZ_48 16
#define TCR_EL2_TABLES_CACHED ((3 << 12) | (1 << 10) | (1 << 8))
#define TCR_EL2_PS_SHIFT 16
#define TCR_EL2_BASE (TCR_EL2_RES1 | TCR_EL2_T0SZ_48 | TCR_EL2_TABLES_CACHED)
#define TCR_EL2_PS_48_BITS 5

// Attribute 0: normal memory, write-back. 1: device, nGnRE.
#define MAIR_EL2_VALUE 0x04ff

// ---- early translation tables (Arm ARM D8.3) --------------------------------------------------------------------------

#define TABLE_DESCRIPTOR 0x3
// Block, attribute 0, read-write (AP[1] is RES1), inner-shareable, accessed.
#define EARLY_BLOCK_DESCRIPTOR ((1 << 10) | (3 << 8) | (1 << 6) | 0x1)
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
