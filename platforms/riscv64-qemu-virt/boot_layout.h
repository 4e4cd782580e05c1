// Numbers that boot.S, vectors.S and the C++ code must agree on. Preprocessor only; the C++ code asserts them against
// its own definitions.
#pragma once

// ---- register values (privileged specification, chapter 4) ------------------------------------------------------------

#define SSTATUS_CLEARED ((1 << 1) | (3 << 13) | (1 << 19))  // interrupts, FS, MXR
// FS is as after reset; SUM: system calls reach the memory of programs in user mode.
#define SSTATUS_SET ((1 << 13) | (1 << 18))
#define STVEC_VECTORED 1

// ---- image header -----------------------------------------------------------------------------------------------------

#define IMAGE_TEXT_OFFSET 0x200000  // from the start of RAM, where firmware is

// ---- memory -----------------------------------------------------------------------------------------------------------

#define TABLE_SIZE 4096
#define TABLE_POOL_FRAMES 32
#define GUARD_SIZE 4096
#define BOOT_STACK_SIZE 16384
#define EMERGENCY_STACK_SIZE 8192

// ---- per-CPU block ----------------------------------------------------------------------------------------------------

#define PER_CPU_EMERGENCY_STACK 8
#define PER_CPU_STACK_TOP 16
#define PER_CPU_HARDWARE_ID 32
#define PER_CPU_SCRATCH 56
#define PER_CPU_SIZE 128

// ---- frames on the stack ----------------------------------------------------------------------------------------------

// CrashFrame: x0..x31 (x0's place holds the PC), sstatus, scause, stval; a multiple of 16.
#define CRASH_FRAME_SSTATUS 256
#define CRASH_FRAME_SCAUSE 264
#define CRASH_FRAME_STVAL 272
#define CRASH_FRAME_SIZE 288

// Interrupt frame: ra, t0..t6, a0..a7, sstatus; at its upper end a frame record of s0 and the PC.
#define INTERRUPT_FRAME_SSTATUS 128
#define INTERRUPT_FRAME_RECORD 144
#define INTERRUPT_FRAME_SIZE 160
