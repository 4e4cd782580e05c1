// From the boot loader to C++: Image header, state of the exception level, an early identity map of the image, relocation, bss, stack.
//
// Entry, for the boot CPU (Linux "Booting AArch64 Linux" protocol): the level that the image is built for (EL2 for a
// hypervisor, EL1 for what runs under one or alone), MMU off, x0 = device tree or 0, image at a 2 MiB
// boundary and cleaned to the point of coherency. At any other exception level nothing can be done, not even a message
// (the console is in the device tree, and its page tables are the level's): the CPU halts at `wrong_exception_level`.
//
// Memory that is written while the MMU is off is cleaned and invalidated before (a dirty line that the loader left would be
// written over it later) and invalidated after (a stale clean line would be read instead of it). To keep that short, only
// the early tables are written with the MMU off; relocation and bss come after.

#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/common/guarded_stack.h"

.macro load_address register, symbol
  adrp \register, \symbol
  add \register, \register, :lo12:\symbol
.endm

.macro load_constant register, value
  movz \register, #((\value) & 0xffff)
  .if (((\value) >> 16) & 0xffff) != 0
  movk \register, #(((\value) >> 16) & 0xffff), lsl #16
  .endif
  .if ((\value) >> 48) != 0
  movk \register, #((\value) >> 48), lsl #48
  .endif
.endm

// An absolute symbol: its value does not depend on where the image runs.
.macro load_link_address register
  movz \register, #:abs_g3:__link_address
  movk \register, #:abs_g2_nc:__link_address
  movk \register, #:abs_g1_nc:__link_address
  movk \register, #:abs_g0_nc:__link_address
.endm

// ---- Image header (Linux Documentation/arm64/booting.rst) -------------------------------------------------------------

  .section .head.text, "ax"
  .global _start
_start:
  b start_boot_cpu
  .long 0
  .quad 0                  // text_offset: any 2 MiB boundary
  .quad __image_size       // memory needed, bss and stacks included
  .quad 0xa                // little-endian, 4 KiB pages, anywhere in physical memory
  .quad 0, 0, 0
  .ascii "ARM\x64"
  .long 0                  // no PE header

  .section .text, "ax"

// ---- boot CPU ---------------------------------------------------------------------------------------------------------

// x0 = device tree or 0.
start_boot_cpu:
  mov x19, x0
  bl check_and_reset_level
  bl build_early_tables
  load_address x0, ax_early_tables
  load_constant x1, SCTLR_EARLY
  bl ax_set_translation
  bl relocate
  bl clear_bss

  load_address x0, ax_vectors
  msr ELX(vbar), x0
  load_address x0, ax_boot_stack_top
  mov sp, x0
  mov x29, xzr             // end of the frame-pointer chain
  mov x30, xzr
  bl ax_boot_cpu_block
  msr ELX(tpidr), x0
  load_address x1, ax_boot_stack_top
  str x1, [x0, #PER_CPU_STACK_TOP]
  load_address x1, ax_boot_emergency_stack_top
  str x1, [x0, #PER_CPU_EMERGENCY_STACK]

  mov x0, x19
  mov x30, xzr
  b ax_start_boot_cpu

// ---- secondary CPUs ---------------------------------------------------------------------------------------------------

// PSCI CPU_ON entry: x0 = this CPU's per-CPU block. The root table's address was cleaned to memory by the starting CPU.
  .global ax_start_secondary
ax_start_secondary:
  mov x19, x0
  bl check_and_reset_level
  load_address x0, ax_root_table
  ldr x0, [x0]
  load_constant x1, SCTLR_FINAL
  bl ax_set_translation

  load_address x0, ax_vectors
  msr ELX(vbar), x0
  msr ELX(tpidr), x19
  ldr x0, [x19, #PER_CPU_STACK_TOP]
  mov sp, x0
  mov x29, xzr
  mov x30, xzr
  mov x0, x19
  b ax_start_secondary_cpu

// ---- common steps -----------------------------------------------------------------------------------------------------

// Whatever firmware left: interrupts masked, MMU off, no VHE register layout. The rest of the level's state is set in C++.
check_and_reset_level:
  msr daifset, #15
  mrs x1, currentel
  cmp x1, #CURRENT_EL_EXPECTED
  b.ne wrong_exception_level
  load_constant x1, SCTLR_RES1
  msr ELX(sctlr), x1
#if AX_EXCEPTION_LEVEL == 2
  mov x1, #(1 << HCR_EL2_RW_BIT)
  orr x1, x1, #HCR_EL2_AMO_IMO_FMO
  msr hcr_el2, x1
#else
  mov x1, #CPACR_EL1_FPEN
  msr cpacr_el1, x1
#endif
  isb
  ret

wrong_exception_level:
  wfe
  b wrong_exception_level

// Maps the image's own 2 MiB blocks, read-write-execute, VA = PA. Uses x0..x9.
build_early_tables:
  load_address x0, ax_early_tables
  add x1, x0, #(EARLY_IMAGE_TABLES * TABLE_SIZE)
  mrs x2, ctr_el0
  ubfx x2, x2, #16, #4
  mov x3, #4
  lsl x2, x3, x2           // smallest data cache line
  mov x3, x0
1:
  dc civac, x3
  add x3, x3, x2
  cmp x3, x1
  b.lo 1b
  dsb sy
  mov x3, x0
2:
  stp xzr, xzr, [x3], #16
  stp xzr, xzr, [x3], #16
  stp xzr, xzr, [x3], #16
  stp xzr, xzr, [x3], #16
  cmp x3, x1
  b.lo 2b

  load_address x4, __image_start
  and x4, x4, #~((1 << LEVEL2_SHIFT) - 1)
  load_address x5, __image_end
  add x6, x0, #TABLE_SIZE  // level 1
  orr x7, x6, #TABLE_DESCRIPTOR
  ubfx x8, x4, #LEVEL0_SHIFT, #9
  str x7, [x0, x8, lsl #3]
  add x7, x6, #TABLE_SIZE  // first level 2
  add x9, x7, #TABLE_SIZE  // second level 2, for the GiB that follows
  ubfx x8, x4, #LEVEL1_SHIFT, #9
  orr x3, x7, #TABLE_DESCRIPTOR
  str x3, [x6, x8, lsl #3]
  add x8, x8, #1
  tbnz x8, #9, 3f          // the GiB that follows has another level-1 table: an image must not reach into it
  orr x3, x9, #TABLE_DESCRIPTOR
  str x3, [x6, x8, lsl #3]
3:
  ubfx x8, x4, #LEVEL2_SHIFT, #9
  add x7, x7, x8, lsl #3   // the two level-2 tables are one array
  load_constant x3, EARLY_BLOCK_DESCRIPTOR
  mov x9, #(1 << LEVEL2_SHIFT)
4:
  orr x8, x4, x3
  str x8, [x7], #8
  add x4, x4, x9
  cmp x4, x5
  b.lo 4b

  dsb sy
  mov x3, x0
5:
  dc ivac, x3
  add x3, x3, x2
  cmp x3, x1
  b.lo 5b
  dsb sy
  ret

// void ax_set_translation(u64 root, u64 sctlr): this CPU's translation becomes `root`, then its SCTLR_ELx `sctlr`. The MMU
// is off in between, because the old and the new tables may map the same address with leaves of different sizes (Arm ARM
// D8.14.1); no memory but this code is accessed meanwhile. Uses x0..x3.
  .global ax_set_translation
ax_set_translation:
  dsb sy
  load_constant x2, SCTLR_RES1
  msr ELX(sctlr), x2
  isb
  msr ELX(ttbr0), x0
  load_constant x2, MAIR_VALUE
  msr ELX(mair), x2
  mrs x2, id_aa64mmfr0_el1
  and x2, x2, #0xf
  mov x3, #TCR_PS_48_BITS
  cmp x2, x3
  csel x2, x2, x3, lo
  load_constant x3, TCR_BASE
  orr x3, x3, x2, lsl #TCR_PS_SHIFT
  msr ELX(tcr), x3
  isb
  TLBI_ALL
  ic iallu
  dsb nsh
  isb
  msr ELX(sctlr), x1
  isb
  ret

// Applies the RELATIVE relocations of a static PIE: *(offset + delta) = addend + delta, and those that are packed (the generic ABI's
// SHT_RELR): an address, or a map of which of the 63 words behind the last one are meant; the addend is what is there. Uses x0..x6.
relocate:
  load_address x0, __rela_start
  load_address x1, __rela_end
  load_address x2, __image_start
  load_link_address x3
  sub x2, x2, x3
1:
  cmp x0, x1
  b.hs 2f
  ldr x3, [x0], #16        // offset; the type is RELATIVE, since there are no symbols to bind
  ldr x4, [x0], #8         // addend
  add x4, x4, x2
  str x4, [x3, x2]
  b 1b
2:
  load_address x0, __relr_start
  load_address x1, __relr_end
3:
  cmp x0, x1
  b.hs 7f
  ldr x3, [x0], #8
  tbnz x3, #0, 4f
  add x4, x3, x2
  ldr x5, [x4]
  add x5, x5, x2
  str x5, [x4], #8
  b 3b
4:
  mov x6, x4
  add x4, x4, #63 * 8
5:
  lsr x3, x3, #1
  cbz x3, 3b
  tbz x3, #0, 6f
  ldr x5, [x6]
  add x5, x5, x2
  str x5, [x6]
6:
  add x6, x6, #8
  b 5b
7:
  ret

// u64 ax_link_address()
  .global ax_link_address
ax_link_address:
  load_link_address x0
  ret

clear_bss:
  load_address x0, __bss_start
  load_address x1, __bss_end
1:
  cmp x0, x1
  b.hs 2f
  stp xzr, xzr, [x0], #16
  stp xzr, xzr, [x0], #16
  stp xzr, xzr, [x0], #16
  stp xzr, xzr, [x0], #16
  b 1b
2:
  ret

// ---- memory that is not part of the file ------------------------------------------------------------------------------

  .section .boot_memory.tables, "aw", %nobits
  .balign TABLE_SIZE
  .global ax_early_tables
ax_early_tables:
  .space EARLY_IMAGE_TABLES * TABLE_SIZE
  .global ax_table_pool
ax_table_pool:
  .space TABLE_POOL_FRAMES * TABLE_SIZE

  .section .boot_memory.stacks, "aw", %nobits
  .balign GUARD_SIZE
  guarded_stack ax_boot_stack, BOOT_STACK_SIZE
  guarded_stack ax_boot_emergency_stack, EMERGENCY_STACK_SIZE
