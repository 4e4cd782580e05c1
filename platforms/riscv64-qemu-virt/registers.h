// For assembly: what frames of all registers have in common. Register N is at 8 * N; x0's place is that of the PC.
#pragma once

// Every register but x0, x4 (tp) and x5 (t0), at its place in a frame at t0.
.macro for_most operation
  \operation x1, 8(t0)
  \operation x2, 16(t0)
  \operation x3, 24(t0)
  .irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  \operation x\n, (8 * \n)(t0)
  .endr
.endm
