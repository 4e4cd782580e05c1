// For assembly: all vector registers (Arm ARM B1.2.1), 512 bytes.
#pragma once

  .arch_extension fp
  .arch_extension simd

// `operation` is stp or ldp; `base` a register that holds the address, a multiple of 16.
.macro for_vector_registers operation, base
  \operation q0, q1, [\base, #0]
  \operation q2, q3, [\base, #32]
  \operation q4, q5, [\base, #64]
  \operation q6, q7, [\base, #96]
  \operation q8, q9, [\base, #128]
  \operation q10, q11, [\base, #160]
  \operation q12, q13, [\base, #192]
  \operation q14, q15, [\base, #224]
  \operation q16, q17, [\base, #256]
  \operation q18, q19, [\base, #288]
  \operation q20, q21, [\base, #320]
  \operation q22, q23, [\base, #352]
  \operation q24, q25, [\base, #384]
  \operation q26, q27, [\base, #416]
  \operation q28, q29, [\base, #448]
  \operation q30, q31, [\base, #480]
.endm
