// For boot.S, behind its boot_layout.h: stacks that are not part of the file.
#pragma once

// NAME_guard, a page that stays unmapped, and behind it `size` bytes up to NAME_top.
.macro guarded_stack name, size
  .global \name\()_guard
\name\()_guard:
  .space GUARD_SIZE
  .space \size
  .global \name\()_top
\name\()_top:
.endm
